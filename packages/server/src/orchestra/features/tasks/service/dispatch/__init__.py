"""Brings waiting tasks to free slots: who is called, what is claimed, which agent gets it."""
