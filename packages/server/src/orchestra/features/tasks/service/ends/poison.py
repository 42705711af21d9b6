"""Sets a task aside that has cost several agents their lives: it would cost the next one, too.

Losses of agents that come back with the run are forgiven (`streams/returning.py`).
"""

from orchestra.features.tasks.repository.ending import Locked
from orchestra.features.tasks.types import TaskProblem, TaskState

AGENT_LOST = "agent_lost"
CODE = "poison"


def verdict(task: Locked, problem: TaskProblem | None, *, limit: int) -> TaskProblem | None:
    """Why the task is not tried again, if this loss of its agent is one too many."""
    if task.life.state is not TaskState.RUNNING or problem is None or problem.code != AGENT_LOST:
        return None
    lost = task.agents_lost + 1
    if lost < limit:
        return None
    times = "once" if lost == 1 else f"{lost} times"
    return TaskProblem(CODE, f"Its agent was lost {times} while it ran: the task is set aside.")
