"""Who goes first and how much at once: queues, limits, priorities, many tasks at a time."""
