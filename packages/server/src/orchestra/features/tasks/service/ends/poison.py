"""Sets a task aside that has cost several agents their lives: it would cost the next one, too.

Who kills is seldom alone. A loss counts in full for the task that began last on its agent, for most
killers do it soon, and half for those beside it. From their second loss on, tasks that were lost
together begin one after the other, each time further apart, until the killer is alone or the last.

Losses of agents that come back with the run are forgiven (`streams/returning.py`).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from orchestra.features.tasks.repository import attempts
from orchestra.features.tasks.repository.ending import Locked
from orchestra.features.tasks.types import TaskId, TaskProblem, TaskState
from orchestra.foundation.database import Transaction

AGENT_LOST = "agent_lost"
CODE = "poison"
# Longer than many a killer needs; doubled with each loss, up to the longest pause of all.
APART_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 300.0
MOST_DOUBLINGS = 8


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Of tasks whose agents are being lost: what counts against them, and how long they pause."""

    strikes: Mapping[TaskId, float] = field(default_factory=dict[TaskId, float])
    pauses: Mapping[TaskId, float] = field(default_factory=dict[TaskId, float])


async def suspect(
    tx: Transaction, ends: Iterable[tuple[Locked, TaskProblem | None]], *, limit: int
) -> Suspicion:
    """Looks at those of the ends that are losses; the first of many costs nothing."""
    lost = [task for task, problem in ends if _is_loss(task, problem)]
    last = [task.id for task in lost if task.agents_lost + 1 >= limit]
    strikes = await attempts.strikes(tx, last) if last else {}
    return Suspicion(strikes, pauses([task for task in lost if task.agents_lost]))


def verdict(
    task: Locked, problem: TaskProblem | None, suspicion: Suspicion, *, limit: int
) -> TaskProblem | None:
    """Why the task is not tried again, if this loss of its agent is one too many."""
    if not _is_loss(task, problem):
        return None
    lost = task.agents_lost + 1
    if lost < limit or suspicion.strikes.get(task.id, float(lost)) < limit:
        return None
    times = "once" if lost == 1 else f"{lost} times"
    return TaskProblem(CODE, f"Its agent was lost {times} while it ran: the task is set aside.")


def _is_loss(task: Locked, problem: TaskProblem | None) -> bool:
    is_lost = problem is not None and problem.code == AGENT_LOST
    return is_lost and task.life.state is TaskState.RUNNING


def pauses(lost: Sequence[Locked]) -> dict[TaskId, float]:
    """The first of an agent begins at once, each other later than the one before.

    Another is the first each time, for who kills late must not always be before the same others.
    """
    together: defaultdict[object, list[Locked]] = defaultdict(list)
    for task in lost:
        together[task.agent_id].append(task)
    found: dict[TaskId, float] = {}
    for tasks in together.values():
        losses = max(task.agents_lost for task in tasks)
        apart = APART_SECONDS * 2.0 ** min(losses - 1, MOST_DOUBLINGS)
        for number, task in enumerate(sorted(tasks, key=lambda task: task.id)):
            place = (number + losses) % len(tasks)
            found[task.id] = min(place * apart, LONGEST_PAUSE_SECONDS)
    return found
