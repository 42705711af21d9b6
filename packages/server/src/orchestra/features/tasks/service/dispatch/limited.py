"""Claims under limits: exact, since whoever claims holds the limits' rows until it has committed.

A task whose bucket is full is set aside under the bucket's name, so that no claim looks at it again
before there is room; ten thousand tasks with one hot key cost ten thousand looks in all.
"""

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from orchestra.features.tasks.repository import limited, limits
from orchestra.features.tasks.repository.claiming import MAX_CLAIM, Claim, Slot
from orchestra.features.tasks.repository.limited import Candidate
from orchestra.features.tasks.repository.limits import Room
from orchestra.features.tasks.types import QueueName, TaskId
from orchestra.foundation.database import Database, Transaction

# Looked at in one transaction; what more there is, the next call looks at.
MAX_PAGES = 8
MAX_BUCKETS = 1_000


@dataclass(slots=True)
class Found:
    """What a claim has brought. `retry_seconds` until a bucket has a token again."""

    claims: list[Claim] = field(default_factory=list[Claim])
    has_blocked: bool = False
    has_more: bool = False
    retry_seconds: float | None = None

    def wait(self, seconds: float) -> None:
        if seconds > 0:
            self.retry_seconds = min(seconds, self.retry_seconds or seconds)


class LimitedQueues:
    """Which queues have limits, as of the last look.

    It may be old: the claim without limits takes nothing from a queue that has one, and the claim
    with limits is right for every queue.
    """

    def __init__(self) -> None:
        self._names: frozenset[QueueName | None] = frozenset()

    @property
    def any(self) -> bool:
        return bool(self._names)

    def cover(self, queues: Sequence[QueueName]) -> bool:
        return None in self._names or not self._names.isdisjoint(queues)

    def take(self, names: frozenset[QueueName | None]) -> None:
        """What the last look has found; None among them says that a limit holds for all."""
        self._names = names


class LimitedClaims:
    """One for each control plane: it remembers where its last look at set-aside tasks ended."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._looked: dict[str, str] = {}

    async def claim(
        self,
        queues: Sequence[QueueName],
        *,
        slots: Sequence[Slot],
        owner: uuid.UUID | None,
        lease_seconds: float,
    ) -> Found:
        """Takes as many tasks as there are slots and the limits allow, the most urgent first."""
        found = Found()
        async with self._database.transaction() as tx:
            rules = await limits.lock(tx, queues)
            await limits.drop_ended(tx, list(rules))
            for queue in queues:
                await self._put_back(tx, queue, found)
            for _ in range(MAX_PAGES):
                free = slots[len(found.claims) :]
                page = await limited.candidates(tx, queues, owner=owner, limit=MAX_CLAIM)
                chosen = await _choose(tx, page, len(free), found)
                await _take(tx, chosen, free, lease_seconds, found)
                if len(page) < MAX_CLAIM or len(found.claims) == len(slots):
                    return found
        found.has_more = True
        return found

    async def _put_back(self, tx: Transaction, queue: QueueName, found: Found) -> None:
        after = self._looked.get(queue, "")
        buckets = await limited.blocked_buckets(tx, queue, after=after, limit=MAX_BUCKETS)
        if after and not buckets:
            buckets = await limited.blocked_buckets(tx, queue, after="", limit=MAX_BUCKETS)
        self._looked[queue] = buckets[-1] if len(buckets) == MAX_BUCKETS else ""
        if not buckets:
            return
        found.has_blocked = True
        rooms = await limits.rooms(tx, buckets)
        open_rooms = {name: _tasks_in(room) for name, room in rooms.items() if room.is_open}
        if open_rooms:
            await limited.put_back(tx, queue, open_rooms)
        for room in rooms.values():
            found.wait(room.seconds)


@dataclass(frozen=True, slots=True)
class _Chosen:
    tasks: list[Candidate]
    spent: Counter[str]


async def _choose(tx: Transaction, page: Sequence[Candidate], count: int, found: Found) -> _Chosen:
    """Those of a page that may run now; those before the last of them that may not, set aside."""
    rooms = await limits.rooms(tx, sorted({name for task in page for name in task.buckets}))
    chosen, blocked = _Chosen([], Counter()), list[tuple[TaskId, str]]()
    for task in page:
        if len(chosen.tasks) == count:
            break
        full = next((name for name in task.buckets if _is_full(rooms, chosen.spent, name)), None)
        if full is None:
            chosen.tasks.append(task)
            chosen.spent.update(task.buckets)
        else:
            blocked.append((task.id, full))
            found.wait(_seconds_to_token(rooms[full], chosen.spent[full]))
    if blocked:
        found.has_blocked = True
        await limited.set_aside(tx, blocked)
    return chosen


async def _take(
    tx: Transaction, chosen: _Chosen, slots: Sequence[Slot], lease_seconds: float, found: Found
) -> None:
    if not chosen.tasks:
        return
    claims = await limited.take(
        tx,
        [task.id for task in chosen.tasks],
        slots=slots[: len(chosen.tasks)],
        lease_seconds=lease_seconds,
    )
    epochs = {claim.id: claim.epoch for claim in claims}
    held = [(name, task.id, epochs[task.id]) for task in chosen.tasks for name in task.buckets]
    if held:
        await limits.hold(tx, held, chosen.spent)
    found.claims.extend(claims)


def _is_full(rooms: dict[str, Room], spent: Counter[str], name: str) -> bool:
    room, used = rooms[name], spent[name]
    no_slot = room.slots is not None and room.slots <= used
    return no_slot or (room.tokens is not None and room.tokens - used < 1)


def _seconds_to_token(room: Room, used: int) -> float:
    if room.tokens is None or room.tokens - used >= 1:
        return 0.0
    return (1 - (room.tokens - used)) * room.token_seconds


def _tasks_in(room: Room) -> int:
    bounds = [bound for bound in (room.slots, room.tokens) if bound is not None]
    return min(MAX_CLAIM, int(min(bounds, default=MAX_CLAIM)))
