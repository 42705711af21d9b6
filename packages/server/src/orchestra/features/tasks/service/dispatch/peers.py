"""The agents of the other control planes, as far as tasks may go to them that are claimed here.

Where each is, whom it serves and how it does is read from the database about once a second, for
queues that had such tasks of late; without another control plane, only that there is none. What is
known here may be old: an agent's own control plane decides whether it has room.
"""

import asyncio
import uuid
from collections.abc import Collection, Mapping, Sequence

import structlog

from orchestra.features import agents
from orchestra.features.agents import AgentId, ConnectedAgent, PeerAgent, Resources
from orchestra.foundation import clock
from orchestra.foundation.database import Database
from orchestra.foundation.errors import OrchestraError

log = structlog.get_logger(__name__)

REFRESH_SECONDS = 1.0
# Reading ten thousand agents takes a while; it may take so much of the time.
REFRESH_SHARE = 0.02
# A queue is of no more interest when no task was claimed from it for so long that may leave.
INTEREST_SECONDS = 60.0
MAX_QUEUES = 1_000

Owner = uuid.UUID | None  # for whom an agent works; None: for everybody
# They say that they live every five seconds.
DEAD_AFTER_SECONDS = 20.0
# One that has not answered is not asked again for so long.
SILENT_SECONDS = 2.0


class PeerPlane:
    """Another control plane."""

    __slots__ = ("_silent_until", "id")

    def __init__(self, plane_id: str) -> None:
        self.id = plane_id
        self._silent_until = float("-inf")

    @property
    def is_silent(self) -> bool:
        return clock.monotonic() < self._silent_until

    def note_silence(self) -> None:
        self._silent_until = clock.monotonic() + SILENT_SECONDS


class RemoteAgent:
    """An agent of another control plane."""

    __slots__ = (
        "id", "in_use", "is_working", "latency", "owner_id", "plane", "resources", "slots",
    )  # fmt: skip

    def __init__(self, said: PeerAgent, plane: PeerPlane) -> None:
        self.id, self.plane, self.owner_id = said.id, plane, said.owner_id
        self.update(said)

    def update(self, said: PeerAgent) -> None:
        self.slots, self.in_use, self.is_working = said.slots, said.slots_in_use, said.is_working
        self.latency: float = said.latency_seconds
        self.resources: Resources | None = said.resources

    @property
    def left(self) -> int:
        """How many slots are free, as far as is known here."""
        return max(0, self.slots - self.in_use) * self.free

    @property
    def free(self) -> int:
        """Whether it is worth asking: 1 or 0."""
        return int(self.is_working and not self.plane.is_silent)


Anyone = ConnectedAgent | RemoteAgent


class Peers:
    """One for each control plane."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._control_plane_id = ""
        self._planes: dict[str, PeerPlane] = {}
        self._agents: dict[AgentId, tuple[PeerAgent, RemoteAgent]] = {}
        self._by_queue: Mapping[str, Mapping[Owner, Sequence[RemoteAgent]]] = {}
        self._wanted: dict[str, float] = {}  # when a task of the queue was last of interest
        self._looking = asyncio.Lock()
        self.version = 0  # another one whenever somebody has come, gone or moved

    def begin(self, control_plane_id: str) -> None:
        """What is read from now on is what others than this one have."""
        self._control_plane_id = control_plane_id

    def serving(self, queue: str, owner: Owner) -> Sequence[RemoteAgent]:
        """The agents elsewhere that take tasks of a queue from everybody, or from `owner`."""
        return self._by_queue.get(queue, {}).get(owner, ())

    def serves(self, queues: Collection[str]) -> bool:
        """Whether any agent elsewhere takes tasks of one of these."""
        return any(queue in self._by_queue for queue in queues)

    async def want(self, queues: Collection[str]) -> None:
        """Tasks that may leave come from these queues: from now on their agents are known."""
        is_new = any(queue not in self._wanted for queue in queues)
        if len(self._wanted) >= MAX_QUEUES:
            self._wanted.clear()
        self._wanted.update(dict.fromkeys(queues, clock.monotonic()))
        if is_new:
            await self.look()

    def lose(self, agent_id: AgentId) -> None:
        """It is not where it was."""
        if agent_id in self._agents:
            self._take([said for known, (said, _) in self._agents.items() if known != agent_id])

    async def refresh(self) -> float:
        """Looks again; returns how long to wait for the next time."""
        began = clock.monotonic()
        recently = began - INTEREST_SECONDS
        self._wanted = {queue: at for queue, at in self._wanted.items() if at > recently}
        await self.look()
        return max(REFRESH_SECONDS, (clock.monotonic() - began) / REFRESH_SHARE)

    async def look(self) -> None:
        """Reads who is where; what was known holds as long as the database is away."""
        async with self._looking:
            try:
                self._take(await self._read())
            except (OrchestraError, OSError, TimeoutError) as error:
                log.warning("agents elsewhere are not known", error=str(error))

    async def _read(self) -> list[PeerAgent]:
        if not self._wanted or not self._control_plane_id:
            return []
        planes = await agents.living_planes(
            self._database, self._control_plane_id, seconds=DEAD_AFTER_SECONDS
        )
        if not planes:
            return []
        return await agents.agents_of(self._database, planes, capabilities=list(self._wanted))

    def _take(self, found: Sequence[PeerAgent]) -> None:
        former, self._agents = self._agents, {}
        names = {said.control_plane_id for said in found}
        self._planes = {name: self._planes.get(name) or PeerPlane(name) for name in names}
        for said in found:
            old, agent = former.get(said.id, (None, None))
            if old is None or agent is None or _place(old) != _place(said):
                agent = RemoteAgent(said, self._planes[said.control_plane_id])
            agent.update(said)
            self._agents[said.id] = said, agent
        places = {_place(said) for said in found}
        if places != {_place(said) for said, _ in former.values()}:
            self.version += 1
            self._by_queue = self._sorted()

    def _sorted(self) -> Mapping[str, Mapping[Owner, Sequence[RemoteAgent]]]:
        by_queue: dict[str, dict[Owner, list[RemoteAgent]]] = {}
        for said, agent in self._agents.values():
            for queue in said.capabilities:
                by_queue.setdefault(queue, {}).setdefault(agent.owner_id, []).append(agent)
        return by_queue


def _place(said: PeerAgent) -> tuple[object, ...]:
    """What decides where an agent is on which rings."""
    return said.id, said.control_plane_id, said.owner_id, said.capabilities
