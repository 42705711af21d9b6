"""Brings waiting tasks to free slots: claims what PostgreSQL names, whenever something may wait.

Woken by permits, by a word on core NATS (tasks for a single agent), by slots that become free, and
once a second by a look into the database, which finds what all the others have missed.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Container, Sequence

import structlog
from prometheus_client import Histogram

from orchestra.features.agents import ConnectedAgent, Registry
from orchestra.features.tasks.repository import claiming, limited
from orchestra.features.tasks.repository.claiming import MAX_CLAIM, Claim, Slot
from orchestra.features.tasks.service.dispatch.across import Across
from orchestra.features.tasks.service.dispatch.alarms import Alarms
from orchestra.features.tasks.service.dispatch.balancer import Balancer
from orchestra.features.tasks.service.dispatch.groups import Group, group_agents
from orchestra.features.tasks.service.dispatch.handover import Handover
from orchestra.features.tasks.service.dispatch.homes import Agents, Homes, Moves
from orchestra.features.tasks.service.dispatch.limited import Found, LimitedClaims, LimitedQueues
from orchestra.features.tasks.service.dispatch.peers import Owner, Peers
from orchestra.features.tasks.service.dispatch.permits import Permits
from orchestra.features.tasks.service.dispatch.ready import Ready
from orchestra.features.tasks.service.dispatch.rooms import Rooms
from orchestra.features.tasks.types import QueueName
from orchestra.foundation import crash_points
from orchestra.foundation.concurrency import Guard, forever
from orchestra.foundation.database import Database
from orchestra.foundation.errors import OrchestraError
from orchestra.foundation.messaging import Bus
from orchestra.foundation.settings import Settings

log = structlog.get_logger(__name__)

SWEEP_SECONDS = 1.0
# For the first tasks after a while so many slots are offered.
SMALLEST_CLAIM = 8
RETRY_SECONDS = 0.5
WAITED = Histogram(
    "ai_orchestra_dispatch_seconds",
    "Time from the submit of a task to its first claim",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 600),
)

Deliver = Callable[[Sequence[tuple[ConnectedAgent, Claim]]], None]


class ClaimSize:
    """For how many tasks a queue's next claim offers slots: to look for each has its price."""

    __slots__ = ("tasks",)

    def __init__(self) -> None:
        self.tasks = SMALLEST_CLAIM

    def note(self, *, slots: int, tasks: int) -> None:
        """A claim for `slots` found so many `tasks`: the next may find twice as many."""
        least = self.tasks if tasks == slots else max(SMALLEST_CLAIM, self.tasks // 2)
        self.tasks = min(MAX_CLAIM, max(least, 2 * tasks))


class _Queue:
    """What is known of a queue here: whether somebody claims from it, whether slots are free."""

    __slots__ = ("again", "has_room", "pulling", "size", "work")

    def __init__(self) -> None:
        self.again = False
        self.size = ClaimSize()
        self.work: asyncio.Task[None] | None = None
        self.has_room = asyncio.Event()
        self.pulling: asyncio.Task[None] | None = None

    @property
    def is_worked(self) -> bool:
        return self.work is not None and not self.work.done()


class Dispatcher:
    """One for each control plane.

    `deliver` is called with the claims of a batch and their agents, in order of priority.
    """

    def __init__(
        self,
        *,
        registry: Registry,
        database: Database,
        bus: Bus,
        settings: Settings,
        deliver: Deliver,
        prepare: Callable[[Sequence[Claim]], Awaitable[None]],
    ) -> None:
        self._registry = registry
        self._database = database
        self._bus = bus
        self._settings = settings
        self._deliver = deliver
        self._prepare = prepare
        peers = Peers(database)
        self._balancer = Balancer(peers)
        self._ready = Ready(registry)
        self._permits = Permits(bus)
        self._queues: dict[str, _Queue] = {}
        # Queues in which more may wait; the next free slot looks into them by itself.
        self._busy: set[str] = set()
        self._known: set[uuid.UUID] = set()
        self._limits, self._limited = LimitedQueues(), LimitedClaims(database)
        self._alarms = Alarms(self.wake)
        self._rooms = Rooms(registry)
        self._homes = Homes(registry, self._balancer, self._ready, self._rooms.reserved)
        self._handover = Handover(
            registry=registry,
            database=database,
            bus=bus,
            balancer=self._balancer,
            peers=peers,
            across=Across(peers, self._ready.count),
            rooms=self._rooms,
            choose=self._homes.choose,
            give=self._give,
            lease_seconds=settings.lease_seconds,
        )
        self._guard = Guard()
        self._is_stopping = False
        registry.on_capacity = self.on_capacity

    async def start(self, control_plane_id: str) -> None:
        await self._permits.start()
        await self._handover.start(control_plane_id)
        self._guard.spawn("dispatch-sweep", forever("dispatch sweep", self._sweep))

    def stop(self) -> None:
        """Claims nothing from now on."""
        self._is_stopping = self._handover.is_stopping = True

    async def close(self) -> None:
        self.stop()
        self._alarms.close()
        await self._guard.stop()
        await self._handover.close()

    def on_capacity(self, agent: ConnectedAgent) -> None:
        """An agent has a free slot that it may not have had before."""
        self._ready.add(agent)
        if agent.id not in self._known:
            self._meet(agent)
        busy = [name for name in agent.queues if name in self._busy]
        if busy and agent.is_hungry(busy):
            self.wake(busy[0])  # one claims from all that are busy
        for name in agent.queues:
            queue = self._queue(name)
            queue.has_room.set()
            if queue.pulling is None and name != str(agent.id):
                queue.pulling = self._guard.spawn(f"permits {name}", self._pull(name, queue))

    def _meet(self, agent: ConnectedAgent) -> None:
        """One that can do several things begins with the most urgent, which no permit knows."""
        self._known.add(agent.id)
        capabilities = [name for name in agent.queues if name != str(agent.id)]
        if len(capabilities) > 1:
            self._busy.update(capabilities)

    def wake(self, name: str) -> None:
        """Something may wait in this queue."""
        queue = self._queue(name)
        queue.again = True
        if not queue.is_worked and not self._is_stopping:
            queue.work = self._guard.spawn(f"claim {name}", self._work(QueueName(name), queue))

    def forget(self, agent: ConnectedAgent) -> None:
        """An agent has gone."""
        self._balancer.forget(agent.id)
        self._ready.forget(agent)
        self._known.discard(agent.id)
        self._busy.discard(str(agent.id))
        own = self._queues.get(str(agent.id))
        if own is not None and not own.is_worked:
            del self._queues[str(agent.id)]

    def _queue(self, name: str) -> _Queue:
        queue = self._queues.get(name)
        if queue is None:
            queue = self._queues[name] = _Queue()
        return queue

    async def _work(self, name: QueueName, queue: _Queue) -> None:
        while queue.again and not self._is_stopping:
            queue.again = False
            try:
                await self._claim_all(name, queue)
            except (OrchestraError, OSError, TimeoutError) as error:
                log.warning("nothing can be claimed", queue=name, error=str(error))
                await asyncio.sleep(RETRY_SECONDS)
                queue.again = True

    async def _claim_all(self, name: QueueName, queue: _Queue) -> None:
        self._busy.discard(name)
        for owner in self._ready.owners(name):
            if not await self._claim_of(name, owner, queue.size):
                self._busy.add(name)
                queue.has_room.clear()

    async def _claim_of(self, name: QueueName, owner: Owner, size: ClaimSize) -> bool:
        """Claims for the agents of an owner; False when more may wait than they have room for."""
        for agents in self._ready.windows(name, owner, tasks=size.tasks):
            groups = group_agents(name, agents, self._busy)
            is_empty = [await self._claim_group(group, size) for group in groups]
            if any(is_empty):
                return all(is_empty)
        return False

    async def _claim_group(self, group: Group, size: ClaimSize) -> bool:
        """The same for agents that serve the same busy queues."""
        while True:
            # What waits at an agent would use a limit up, and do nothing.
            beyond = None if self._limits.cover(group.queues) else group.queues
            picked = self._balancer.pick(
                group.agents, queue=group.queues[0], beyond=beyond, limit=size.tasks
            )
            if not picked:
                return False
            found = await self._claim(group, picked)
            size.note(slots=len(picked), tasks=len(found.claims))
            self._note(group, found)
            if len(found.claims) < len(picked) and not found.has_more:
                self._busy.difference_update(() if group.owner else group.queues[1:])
                self._busy.update(group.queues if found.has_blocked else ())
                return True

    def _note(self, group: Group, found: Found) -> None:
        if found.retry_seconds is not None:
            self._alarms.set(group.queues[0], found.retry_seconds)

    async def _claim(self, group: Group, picked: Sequence[ConnectedAgent]) -> Found:
        """Claims for reserved slots; the slots of those that nothing came for are free again."""
        found = Found()
        self._rooms.claim_begins(picked)
        try:
            found = await self._claim_for(group, picked)
        finally:
            used = _count(found.claims)
            for agent in picked:
                if used.get(agent.id, 0) > 0:
                    used[agent.id] -= 1
                else:
                    agent.in_use -= 1
                    self._ready.add(agent)
            self._rooms.claim_ends(picked)
        self._balancer.note(claim.agent_id for claim in found.claims)
        if found.claims:
            crash_points.reached("claim.after-commit")
            await self._hand_out(group, found.claims, {agent.id: agent for agent in picked})
        return found

    async def _claim_for(self, group: Group, picked: Sequence[ConnectedAgent]) -> Found:
        slots = [Slot(agent.id, agent.name) for agent in picked]
        lease = self._settings.lease_seconds
        if self._limits.cover(group.queues):
            return await self._limited.claim(
                group.queues, slots=slots, owner=group.owner, lease_seconds=lease
            )
        claims = await claiming.claim(
            self._database, group.queues, slots=slots, owner=group.owner, lease_seconds=lease
        )
        return Found(claims)

    async def _hand_out(self, group: Group, claims: list[Claim], agents: Agents) -> None:
        own = self._homes.choose_own(claims, agents) if group.owner is None else {}
        others, theirs = _split(claims, own)
        moved: Moves = {}
        if any(self._handover.may_send(claim) for claim in others):
            others = await self._handover.send_off(group.owner, others, agents)
            moved = self._homes.choose(group.owner, others, agents)
        moved |= dict(enumerate(own.values(), start=len(others)))
        await self._give([*others, *theirs], agents, moved)

    async def _give(
        self,
        claims: list[Claim],
        agents: Agents,
        moved: Moves,
    ) -> None:
        """Sends claims to their agents, those of the places in `moved` to others than they have.

        When that fails their slots are free again; their leases run out, as nobody has them.
        """
        if not claims:
            return
        holders = [moved.get(at) or agents[claim.agent_id] for at, claim in enumerate(claims)]
        try:
            claims = await self._move(claims, moved)
            await self._prepare(claims)
        except BaseException:
            for agent in holders:
                self._rooms.free(agent)
            raise
        for claim in claims:
            if claim.attempt == 1:
                WAITED.observe(claim.waited_seconds)
        self._deliver([(agents[claim.agent_id], claim) for claim in claims])

    async def _move(self, claims: list[Claim], moved: Moves) -> list[Claim]:
        """Gives tasks to other agents here, under the same leases."""
        if not moved:
            return claims
        return await claiming.move(
            self._database,
            [
                (claims[place].id, claims[place].epoch, Slot(agent.id, agent.name))
                for place, agent in moved.items()
            ],
            claims,
        )

    async def _pull(self, name: str, queue: _Queue) -> None:
        """Takes permits while there is room; one that was of no use here is another's."""
        try:
            while self._registry.serves(name) and not self._is_stopping:
                await queue.has_room.wait()
                permit = await self._permits.take(name)
                if permit is None:
                    continue
                self.wake(name)
                if queue.work is not None:
                    await asyncio.wait({queue.work})
                is_for_others = not queue.has_room.is_set() or not self._registry.serves(name)
                await (permit.nak() if is_for_others else permit.ack())
        finally:
            queue.pulling = None

    async def _sweep(self) -> float:
        situation = await claiming.situation(self._database)
        waiting = situation.waiting
        self._limits.take(situation.limited)
        self._balancer.take(situation.balancing)
        blocked = await limited.blocked_queues(self._database) if self._limits.any else []
        for name in waiting.union(blocked):
            if self._registry.serves(name):
                self._ready.refresh(name)
                self.wake(name)
        for name in self._busy.difference(waiting, blocked):
            if not self._queue(name).is_worked:
                self._busy.discard(name)
        return SWEEP_SECONDS


def _split(claims: Sequence[Claim], places: Container[int]) -> tuple[list[Claim], list[Claim]]:
    """The others, and those at these places."""
    others = [claim for place, claim in enumerate(claims) if place not in places]
    return others, [claim for place, claim in enumerate(claims) if place in places]


def _count(claims: Sequence[Claim]) -> dict[uuid.UUID, int]:
    used: dict[uuid.UUID, int] = {}
    for claim in claims:
        used[claim.agent_id] = used.get(claim.agent_id, 0) + 1
    return used
