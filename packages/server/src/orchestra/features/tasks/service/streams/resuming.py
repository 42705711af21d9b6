"""Finds out, when an agent comes back, what of a run the server keeps."""

from dataclasses import dataclass

import msgspec

from orchestra.features.agents import ConnectedAgent
from orchestra.features.events import History, task_topic
from orchestra.features.tasks.repository.leases import Held
from orchestra.features.tasks.service.streams.assignment import began_again
from orchestra.features.tasks.service.streams.run import Run

# A day's worth of the fastest agent is far below; it bounds a read that would never end.
MAX_PAGES = 2_000


class _Event(msgspec.Struct):
    type: str
    cursor: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"null")


class _Window(msgspec.Struct):
    events: list[_Event]


class _Token(msgspec.Struct):
    text: str = ""


@dataclass(frozen=True, slots=True)
class Kept:
    """Up to which event of a run the server has everything, and what it said until then."""

    sequence: int
    text: str
    is_announced: bool  # readers have been told that the run has begun


async def resumed(history: History, held: Held, agent: ConnectedAgent, *, life_id: str) -> Run:
    """A run that an earlier control plane had, as it goes on here; raises Unavailable."""
    kept = await kept_of(history, held)
    run = Run(
        task_id=held.task_id,
        epoch=held.epoch,
        attempt=held.attempt,
        user_id=held.user_id,
        agent=agent,
        run_seconds=held.run_seconds_left,
        progress_timeout=held.progress_timeout_seconds,
    )
    run.resume(sequence=kept.sequence, text=kept.text, life_id=life_id)
    if not kept.is_announced:
        run.announce(began_again(held, agent))
    return run


async def kept_of(history: History, held: Held) -> Kept:
    """The later of what JetStream has and what was saved in PostgreSQL; raises Unavailable."""
    is_saved = held.snapshot_epoch == held.epoch
    sequence = held.snapshot_sequence if is_saved else 0
    parts = [held.snapshot_text] if is_saved else []
    is_announced = False
    place = 1
    for _ in range(MAX_PAGES):
        page = await history.page(task_topic(held.task_id), sequence=place)
        for stored in page.messages:
            for event in _events(stored.payload):
                epoch, number = _key(event.cursor)
                if epoch != held.epoch:
                    continue
                is_announced = True
                if number > sequence:
                    sequence = number
                    parts.append(_text(event))
        if page.is_last:
            break
        place = page.next_sequence
    return Kept(sequence, "".join(parts), is_announced)


def _events(payload: bytes) -> list[_Event]:
    try:
        return msgspec.json.decode(payload, type=_Window).events
    except msgspec.MsgspecError:
        return []


def _key(cursor: str | None) -> tuple[int, int]:
    epoch, _, number = (cursor or "0:0").partition(":")
    return int(epoch), int(number)


def _text(event: _Event) -> str:
    if event.type != "task.token":
        return ""
    return msgspec.json.decode(event.data, type=_Token).text
