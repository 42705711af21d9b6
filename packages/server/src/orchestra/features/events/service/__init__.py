"""Sending events (outbox), and following them (feeds)."""
