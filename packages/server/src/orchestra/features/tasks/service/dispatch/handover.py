"""Brings tasks to agents of other control planes: where their keys lead, or who is better off.

Who has claimed such a task asks the control plane of the agent, which takes it over under the same
lease and attempt if there is room; otherwise the next agent is asked, and soon the task stays where
it is. Whoever does not answer is not waited for: the row in the database says whether
it has taken the task, and from then on nobody can.
"""

import asyncio
import uuid
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import partial

import msgspec
import nats.errors
import structlog
from nats.aio.msg import Msg

from orchestra.features.agents import AgentId, ConnectedAgent, Registry
from orchestra.features.tasks.repository import handing
from orchestra.features.tasks.repository.claiming import Claim, Slot
from orchestra.features.tasks.repository.handing import Lease
from orchestra.features.tasks.service.dispatch.across import CHOICES, Across
from orchestra.features.tasks.service.dispatch.affinity import Ring
from orchestra.features.tasks.service.dispatch.balancer import Balancer
from orchestra.features.tasks.service.dispatch.homes import Agents, Moves
from orchestra.features.tasks.service.dispatch.peers import Owner, Peers, RemoteAgent
from orchestra.features.tasks.service.dispatch.rooms import Rooms
from orchestra.features.tasks.types import TaskId
from orchestra.foundation import clock
from orchestra.foundation.concurrency import Guard, forever
from orchestra.foundation.database import Database
from orchestra.foundation.errors import OrchestraError
from orchestra.foundation.messaging import Bus

log = structlog.get_logger(__name__)

SUBJECT = "control.take-over"
# One that lives answers within milliseconds; a task waits for one that hangs no longer than this.
ANSWER_SECONDS = 0.5
# So many agents elsewhere are asked for a task.
MOST_ASKED = 3
RETRY_SECONDS = 0.5
# Questions that are answered at once; more are left without an answer.
MOST_QUESTIONS = 256


class Offer(msgspec.Struct, frozen=True):
    """A claimed task for the agent `home`, if that has less than `most` to do."""

    task_id: uuid.UUID
    epoch: int
    holder: uuid.UUID  # for whom it was claimed
    home: uuid.UUID
    most: int


class Answer(msgspec.Struct, frozen=True):
    """What became of offers. The tasks that are not `taken` can be no more."""

    taken: list[uuid.UUID]
    in_use: dict[uuid.UUID, int]  # of the agents that are here


@dataclass(slots=True, eq=False)
class _Parcel:
    """A task on its way, and who was asked for it in vain."""

    claim: Claim
    home: RemoteAgent
    refused: set[AgentId] = field(default_factory=set[AgentId])


Choose = Callable[[Owner, list[Claim], Agents], Moves]
Give = Callable[[list[Claim], Agents, Moves], Awaitable[None]]


class Handover:
    """One for each dispatcher.

    `choose` finds the best agents here for tasks that stay, `give` sends tasks to their agents.
    """

    def __init__(
        self,
        *,
        registry: Registry,
        database: Database,
        bus: Bus,
        balancer: Balancer,
        peers: Peers,
        across: Across,
        rooms: Rooms,
        choose: Choose,
        give: Give,
        lease_seconds: float,
    ) -> None:
        self._registry, self._database, self._bus = registry, database, bus
        self._balancer, self._peers, self._across = balancer, peers, across
        self._choose, self._give = choose, give
        self._lease_seconds = lease_seconds
        self.rooms = rooms
        self._guard, self._answering = Guard(), Guard()
        self.is_stopping = False

    async def start(self, control_plane_id: str) -> None:
        self._peers.begin(control_plane_id)
        await self._bus.listen(f"{SUBJECT}.{control_plane_id}", self._on_offers)
        self._guard.spawn("agents elsewhere", forever("agents elsewhere", self._peers.refresh))

    async def close(self) -> None:
        await self._guard.stop()
        await self._answering.stop()

    def may_send(self, claim: Claim) -> bool:
        """Whether the task may be for an agent elsewhere; not if it is for this one alone."""
        if claim.queue == str(claim.agent_id):
            return False
        return self._key_of(claim) is not None or self._balancer.strategy(claim.queue) in CHOICES

    async def send_off(self, owner: Owner, claims: list[Claim], agents: Agents) -> list[Claim]:
        """Sends the tasks off that are for agents elsewhere, and returns the others."""
        queues = {claim.queue for claim in claims if self.may_send(claim)}
        if queues:
            await self._peers.want(queues)
        if not self._peers.serves(queues):
            return claims
        parcels: defaultdict[str, list[_Parcel]] = defaultdict(list)
        staying: list[Claim] = []
        leaving: Counter[uuid.UUID] = Counter()
        for claim in claims:
            present = agents[claim.agent_id]
            home = self._home_of(claim, owner, present, leaving=leaving[present.id])
            if home is None:
                staying.append(claim)
            else:
                leaving[present.id] += 1
                parcels[home.plane.id].append(_Parcel(claim, home))
        for plane, several in parcels.items():
            self._guard.spawn(f"hand over to {plane}", self._send(owner, several, agents))
        return staying

    def _key_of(self, claim: Claim) -> str | None:
        return self._balancer.key(claim.queue, claim.affinity_key, claim.user_id)

    def _home_of(
        self,
        claim: Claim,
        owner: Owner,
        present: ConnectedAgent,
        *,
        refused: Collection[AgentId] = (),
        leaving: int = 0,
    ) -> RemoteAgent | None:
        """The agent elsewhere that should have the task; None: it stays here.

        So many of the tasks of `present` are `leaving` it.
        """
        if not self.may_send(claim) or not self._peers.serves((claim.queue,)):
            return None
        if (key := self._key_of(claim)) is None:
            return self._across.better(
                claim.queue,
                owner,
                strategy=self._balancer.strategy(claim.queue),
                present=present,
                in_use=present.in_use - 1 - leaving - self.rooms.reserved(present),
                without=refused,
            )
        home = self._ring(claim, owner).home(
            key, present=present, without=refused, reserved=self.rooms.reserved
        )
        return home if isinstance(home, RemoteAgent) else None

    def _ring(self, claim: Claim, owner: Owner) -> Ring:
        return self._balancer.ring(claim.queue, owner, self._registry)

    async def _send(self, owner: Owner, parcels: list[_Parcel], agents: Agents) -> None:
        staying: list[_Parcel] = []
        for _ in range(MOST_ASKED):
            by_plane: defaultdict[str, list[_Parcel]] = defaultdict(list)
            for parcel in parcels:
                by_plane[parcel.home.plane.id].append(parcel)
            asked = [self._ask(owner, several, agents) for several in by_plane.values()]
            back = [parcel for several in await asyncio.gather(*asked) for parcel in several]
            parcels = await self.rooms.at_rest(partial(self._next, owner, back, agents))
            staying += [parcel for parcel in back if parcel not in parcels]
            if not parcels:
                break
        claims = [parcel.claim for parcel in (*staying, *parcels)]
        if claims:
            moves = await self.rooms.at_rest(partial(self._choose, owner, claims, agents))
            await self._give(claims, agents, moves)

    def _next(self, owner: Owner, parcels: Sequence[_Parcel], agents: Agents) -> list[_Parcel]:
        """Those of which another agent elsewhere is to be asked, and nobody has been silent."""
        again: list[_Parcel] = []
        for parcel in parcels:
            if parcel.home.plane.is_silent:
                continue
            present = agents[parcel.claim.agent_id]
            home = self._home_of(parcel.claim, owner, present, refused=parcel.refused)
            if home is not None:
                parcel.home = home
                again.append(parcel)
        return again

    async def _ask(self, owner: Owner, parcels: list[_Parcel], agents: Agents) -> list[_Parcel]:
        """Offers tasks to one control plane; returns those that it has not taken, and will not."""
        offers = [self._offer(parcel, owner) for parcel in parcels]
        plane = parcels[0].home.plane
        try:
            message = await self._bus.client.request(
                f"{SUBJECT}.{plane.id}", msgspec.json.encode(offers), timeout=ANSWER_SECONDS
            )
            answer = msgspec.json.decode(message.data, type=Answer)
        except (OSError, TimeoutError, nats.errors.Error, msgspec.MsgspecError) as error:
            log.info("tasks are kept here", plane=plane.id, why=str(error) or type(error).__name__)
            plane.note_silence()
            kept = await self._keep([parcel.claim for parcel in parcels])
            taken = {parcel.claim.id for parcel in parcels} - kept
        else:
            taken = {TaskId(task_id) for task_id in answer.taken}
            self._learn(parcels, answer)
        for parcel in parcels:
            if parcel.claim.id in taken:
                self.rooms.free(agents[parcel.claim.agent_id])
        return [parcel for parcel in parcels if parcel.claim.id not in taken]

    def _offer(self, parcel: _Parcel, owner: Owner) -> Offer:
        claim, home = parcel.claim, parcel.home
        has_key = self._key_of(claim) is not None
        most = self._ring(claim, owner).most(home) if has_key else home.slots
        return Offer(claim.id, claim.epoch, claim.agent_id, home.id, most)

    def _learn(self, parcels: Sequence[_Parcel], answer: Answer) -> None:
        for parcel in parcels:
            home = parcel.home
            if home.id not in answer.in_use:
                self._peers.lose(home.id)
            else:
                home.in_use = answer.in_use[home.id]
            if parcel.claim.id not in answer.taken:
                parcel.refused.add(home.id)

    async def _keep(self, claims: Sequence[Claim]) -> set[TaskId]:
        """Lets nobody take these any more; returns those that nobody has. Tried for a lease."""
        limit = clock.monotonic() + self._lease_seconds
        leases = [Lease(claim.id, claim.epoch, claim.agent_id) for claim in claims]
        while clock.monotonic() < limit:
            try:
                return await handing.keep(self._database, leases)
            except (OrchestraError, OSError, TimeoutError) as error:
                log.warning("whose tasks are is not known", error=str(error))
                await asyncio.sleep(RETRY_SECONDS)
        return set()

    async def _on_offers(self, message: Msg) -> None:
        if len(self._answering) < MOST_QUESTIONS:
            self._answering.spawn("take tasks over", self._take_over(message))

    async def _take_over(self, message: Msg) -> None:
        try:
            offers = msgspec.json.decode(message.data, type=list[Offer])
        except msgspec.MsgspecError:
            log.warning("offers cannot be read", subject=message.subject)
            return
        known = {offer.home: self._registry.get(offer.home) for offer in offers}
        agents = {home: agent for home, agent in known.items() if agent is not None}
        wanted = [] if self.is_stopping else [offer for offer in offers if offer.home in agents]
        reserved = await self._reserve([(offer, agents[offer.home]) for offer in wanted])
        claims = await self._take(reserved) if reserved else []
        in_use = {it.id: it.in_use - self.rooms.reserved(it) for it in agents.values()}
        answer = Answer([claim.id for claim in claims], {**in_use})
        try:
            await message.respond(msgspec.json.encode(answer))
        except (OSError, nats.errors.Error) as error:
            log.info("who offered tasks finds out later", error=str(error))
        if claims:
            await self._give(claims, agents, {})

    async def _reserve(
        self, wishes: list[tuple[Offer, ConnectedAgent]]
    ) -> list[tuple[Offer, ConnectedAgent]]:
        """Reserves a slot for each offer whose agent has one, and not too much to do."""
        reserved: list[tuple[Offer, ConnectedAgent]] = []

        def attempt() -> bool:
            nonlocal wishes
            left: list[tuple[Offer, ConnectedAgent]] = []
            for offer, agent in wishes:
                load = agent.in_use - self.rooms.reserved(agent)
                if agent.free > 0 and load < offer.most:
                    agent.in_use += 1
                    reserved.append((offer, agent))
                else:
                    left.append((offer, agent))
            wishes = left
            return not any(self.rooms.reserved(agent) for _, agent in left)

        await self.rooms.between_claims(attempt)
        return reserved

    async def _take(self, reserved: Sequence[tuple[Offer, ConnectedAgent]]) -> list[Claim]:
        claims: list[Claim] = []
        try:
            claims = await handing.take_over(
                self._database,
                [Lease(TaskId(it.task_id), it.epoch, it.holder) for it, _ in reserved],
                slots=[Slot(agent.id, agent.name) for _, agent in reserved],
            )
        finally:
            taken = {claim.id for claim in claims}
            for offer, agent in reserved:
                if offer.task_id not in taken:
                    self.rooms.free(agent)
        return claims
