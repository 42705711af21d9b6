"""Ends runs that succeeded: the way of nearly every task, in one statement for many of them.

What is told of an end follows from the claim and the result, so it is known before the end is
written. Whatever is not plainly right (another epoch, another state, another agent) is not decided
here: `ending.end_all` reads, decides by the transition table and says why not.
"""

from collections.abc import Sequence

import msgspec

from orchestra.features import blobs
from orchestra.features.events import Outbox, pack
from orchestra.features.tasks import events
from orchestra.features.tasks.repository import results as repository
from orchestra.features.tasks.repository.results import Success
from orchestra.features.tasks.service.announcing import tell
from orchestra.features.tasks.service.ends.ending import Ended, Ending
from orchestra.features.tasks.service.lifecycle import step
from orchestra.features.tasks.types import Life, TaskState, Trigger
from orchestra.foundation.database import Database
from orchestra.foundation.messaging import Bus, Message


def is_plain(ending: Ending) -> bool:
    """Whether it is a result of a run that this control plane has claimed, and names no blobs."""
    return (
        ending.trigger is Trigger.RESULT
        and ending.claimed is not None
        and ending.result_json is not None
        and ending.agent_id is not None
        and not blobs.mentions(ending.result_json)
    )


async def end_plain(
    database: Database, outbox: Outbox, bus: Bus, endings: Sequence[Ending]
) -> list[Ended] | None:
    """Ends all of them, or None if one of them is not as its agent thinks."""
    if len({ending.task_id for ending in endings}) < len(endings):
        return None
    decided = [(ending, _life(ending)) for ending in endings]
    parcels = pack(events.for_all(_messages(*item) for item in decided))
    written = await repository.succeed(database, [_success(each) for each in endings], parcels)
    if written is None:
        return None
    outbox.committed(written.outbox_ids, parcels)
    if written.is_awaited:
        await tell(bus, events.FINISHED_SUBJECT, b"")
    return [Ended(life, 0.0) for _, life in decided]


def _life(ending: Ending) -> Life:
    """What the task becomes, if it is as it was claimed: the statement sees to that."""
    if ending.claimed is None:
        raise ValueError("only what was claimed here ends here")
    return step(ending.claimed.life, ending.trigger, under=ending.epoch)


def _messages(ending: Ending, life: Life) -> tuple[Message, Message]:
    if ending.claimed is None or life.state is not TaskState.SUCCEEDED:
        raise ValueError("only results end here")
    return events.finished(
        ending.claimed.subject,
        life,
        sequence=ending.sequence,
        result_json=ending.result_json,
        usage=ending.usage,
        before=ending.before,
    )


def _success(ending: Ending) -> Success:
    if ending.agent_id is None or ending.result_json is None:
        raise ValueError("a result is an agent's")
    return Success(
        task_id=ending.task_id,
        epoch=ending.epoch,
        agent_id=ending.agent_id,
        result_json=ending.result_json,
        usage_json=None if ending.usage is None else msgspec.json.encode(ending.usage),
        sequence=ending.sequence,
    )
