"""Whether an agent of another control plane should have a task, rather than who it was claimed for.

A control plane claims for its own agents, be they slow or crowded. What is known of those elsewhere
is about a second old, and a task that goes there costs two statements more: it has to be clearly
better off. Under round robin the turn goes around the whole fleet.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import islice

from orchestra.features.agents import AgentId, ConnectedAgent
from orchestra.features.tasks.service.dispatch import measures
from orchestra.features.tasks.service.dispatch.peers import Owner, Peers, RemoteAgent
from orchestra.features.tasks.types import Balancing, QueueName

# So many of those elsewhere are compared, others each time: of all, every control plane would take
# the same one, until it hears what the others have given it.
FEW = 4
LOOKED_AT = 32  # for these few
# Who is clearly better off needs so much of the time, or has the room left when it is so reduced.
CLEARLY = 0.8
HAND_OVER_SECONDS = 0.005
MAX_TURNS = 1_000

Few = Sequence[RemoteAgent]
Choice = Callable[[Few, ConnectedAgent, int], RemoteAgent | None]


class Across:
    """One for each control plane; `count_here` says how many of its agents serve a queue."""

    def __init__(self, peers: Peers, count_here: Callable[[str, Owner], int]) -> None:
        self._peers, self._count_here = peers, count_here
        self._turns: Counter[tuple[QueueName, Owner]] = Counter()

    def better(
        self,
        queue: QueueName,
        owner: Owner,
        *,
        strategy: Balancing,
        present: ConnectedAgent,
        in_use: int,
        without: Collection[AgentId],
    ) -> RemoteAgent | None:
        """Who should have a task; None: `present`, which has `in_use` others to do.

        Those are passed over that have no room, as far as is known here, or have refused it.
        """
        others = self._peers.serving(queue, owner)
        if not others or strategy not in CHOICES:
            return None
        turn = self._take_turn(queue, owner)
        first = turn * FEW
        if strategy is Balancing.ROUND_ROBIN:
            first = turn % (len(others) + self._count_here(queue, owner))
            if first >= len(others) and not without:
                return None  # it is the turn of one that is here
        looked_at = (others[(first + step) % len(others)] for step in range(LOOKED_AT))
        able = dict.fromkeys(it for it in looked_at if it.left > 0 and it.id not in without)
        chosen = CHOICES[strategy](list(islice(able, FEW)), present, in_use)
        if chosen is not None:
            chosen.in_use += 1
        return chosen

    def _take_turn(self, queue: QueueName, owner: Owner) -> int:
        if len(self._turns) >= MAX_TURNS:
            self._turns.clear()
        self._turns[queue, owner] += 1
        return self._turns[queue, owner]


def _first(
    few: Sequence[RemoteAgent], _present: ConnectedAgent, _in_use: int
) -> RemoteAgent | None:
    return few[0] if few else None


def _soonest(
    few: Sequence[RemoteAgent], present: ConnectedAgent, in_use: int
) -> RemoteAgent | None:
    usual = measures.usual_seconds([present, *few])
    here = measures.seconds_until_done(present, in_use=in_use, usual=usual)
    sooner = {it: measures.seconds_until_done(it, in_use=it.in_use, usual=usual) for it in few}
    best = min(sooner, key=sooner.__getitem__, default=None)
    if best is None or sooner[best] + HAND_OVER_SECONDS > CLEARLY * here:
        return None
    return best


def _roomiest(few: Few, present: ConnectedAgent, in_use: int) -> RemoteAgent | None:
    here = measures.room(present, free=present.slots - in_use)
    rooms = {it: measures.room(it, free=it.left) for it in few}
    best = max(rooms, key=rooms.__getitem__, default=None)
    return best if best is not None and CLEARLY * rooms[best] > here else None


# What else a queue may go by is left to each control plane: keys have a way of their own, and who
# is the least busy here has a free slot, as one elsewhere has.
CHOICES: Mapping[Balancing, Choice] = {
    Balancing.LATENCY: _soonest,
    Balancing.RESOURCES: _roomiest,
    Balancing.ROUND_ROBIN: _first,
}
