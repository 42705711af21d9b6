"""Which agents may be given the same tasks, so that one claim serves all of them."""

import uuid
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from orchestra.features.agents import ConnectedAgent
from orchestra.features.tasks.types import QueueName


@dataclass(frozen=True, slots=True)
class Group:
    """Agents that work for the same people, and serve the same queues of those that may be busy.

    `owner` None: they work for everybody.
    """

    owner: uuid.UUID | None
    queues: tuple[QueueName, ...]
    agents: list[ConnectedAgent]


def group_agents(
    name: QueueName, agents: Sequence[ConnectedAgent], busy: Collection[str]
) -> list[Group]:
    """Groups of the agents that serve `name`; each claims from all its `busy` queues at once.

    So the most urgent task of all queues of an agent goes first, whichever queue was woken.
    """
    members: defaultdict[tuple[uuid.UUID | None, tuple[QueueName, ...]], list[ConnectedAgent]]
    members = defaultdict(list)
    for agent in agents:
        others = [QueueName(other) for other in agent.queues if other != name and other in busy]
        owner = None if agent.shared else agent.owner_id
        members[owner, (name, *others)].append(agent)
    return [Group(owner, queues, agents) for (owner, queues), agents in members.items()]
