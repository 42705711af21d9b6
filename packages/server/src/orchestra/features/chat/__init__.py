"""Conversations between a person and an agent. A turn is a task, and its answer the task's result.

It stands on `tasks` and `providers`, and nothing may stand on it but the processes.
"""

from orchestra.features.chat.service.turns import Turns

__all__ = ["Turns"]
