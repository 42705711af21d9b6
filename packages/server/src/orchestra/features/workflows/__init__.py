"""Work that consists of tasks in an order: declared as data, in versions, run node by node.

A run is a task without an agent, and each of its nodes is a child of it: whoever can look at a
tree of tasks can look at a run, and stop it. This package must not know how a task gets its agent.
"""

from orchestra.features.workflows.jobs import on_task_finished, rerun

__all__ = ["on_task_finished", "rerun"]
