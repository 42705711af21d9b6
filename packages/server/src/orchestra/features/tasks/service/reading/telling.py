"""Tells those who follow along why tasks wait: of each queue the next in line, when it changes.

A task that gives its slot back says for what by itself (`orchestration/suspending.py`).
Whoever wants to know it of any other task, or now, asks (`why`).
"""

from collections import OrderedDict

from orchestra.features.tasks import events
from orchestra.features.tasks.events import Subject
from orchestra.features.tasks.repository import why as repository
from orchestra.features.tasks.repository.why import Facts
from orchestra.features.tasks.service.reading.why import explain
from orchestra.features.tasks.types import TaskId, Why
from orchestra.foundation.database import Database
from orchestra.foundation.messaging import Bus, Message

LOOK_SECONDS = 2.0
# Most tasks wait for less, and nobody has to be told why.
PATIENCE_SECONDS = 2.0
# Of each queue, and of all: a look costs a few short queries for each.
IN_LINE = 5
AT_ONCE = 60
KEPT = 10_000


class Teller:
    """Remembers what it has said, so that it says only what is new."""

    def __init__(self, database: Database, bus: Bus) -> None:
        self._database = database
        self._bus = bus
        self._told: OrderedDict[TaskId, tuple[object, ...]] = OrderedDict()

    async def step(self) -> float:
        messages: list[Message] = []
        async with self._database.transaction() as tx:
            ids = await repository.next_in_line(
                tx, seconds=PATIENCE_SECONDS, of_each=IN_LINE, limit=AT_ONCE
            )
            for task_id in ids:
                facts = await repository.facts(tx, task_id)
                if facts is None:
                    continue
                said = await explain(tx, facts)
                if self._is_new(facts, said):
                    messages.extend(_messages(facts, said))
        await self._bus.publish_soon(*messages)
        return LOOK_SECONDS

    def _is_new(self, task: Facts, said: Why) -> bool:
        now = (task.epoch, said.code, said.parameters.get("position"))
        before = self._told.pop(task.id, None)
        self._told[task.id] = now
        if len(self._told) > KEPT:
            self._told.popitem(last=False)
        return before != now and said.code not in ("running", "over", "about_to_start")


def _messages(task: Facts, said: Why) -> tuple[Message, Message]:
    subject = Subject(task_id=task.id, user_id=task.user_id, capability=task.capability)
    return events.waiting(subject, task.epoch, said)
