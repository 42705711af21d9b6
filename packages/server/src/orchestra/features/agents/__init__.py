"""Who does the work: registration, enrolment, presence and health of agents.

It must not know what a task is; who gives agents work reads the registry.
"""

from orchestra.features.agents.errors import NameTaken
from orchestra.features.agents.repository import (
    AgentFilter,
    PeerAgent,
    agents_of,
    connected,
    count_at,
    count_by_status,
    get,
    get_many,
    living_planes,
    names,
    not_as_admitted,
    note_living,
)
from orchestra.features.agents.service.connected import ConnectedAgent
from orchestra.features.agents.service.enrolment import key_check
from orchestra.features.agents.service.presence import Presence
from orchestra.features.agents.service.quarantine import FAULTS, LOST, Fault, note_faults
from orchestra.features.agents.service.quarantine import Policy as QuarantinePolicy
from orchestra.features.agents.service.registration import (
    addressed,
    check_owned,
    find,
    visible,
)
from orchestra.features.agents.service.registry import Registry
from orchestra.features.agents.types import (
    AWAY,
    Agent,
    AgentId,
    AgentStatus,
    Probe,
    Resources,
)

find_agents, agent_names, note_connected, get_agent = find, names, connected, get
get_agents = get_many

__all__ = [
    "AWAY",
    "FAULTS",
    "LOST",
    "Agent",
    "AgentFilter",
    "AgentId",
    "AgentStatus",
    "ConnectedAgent",
    "Fault",
    "NameTaken",
    "PeerAgent",
    "Presence",
    "Probe",
    "QuarantinePolicy",
    "Registry",
    "Resources",
    "addressed",
    "agent_names",
    "agents_of",
    "check_owned",
    "count_at",
    "count_by_status",
    "find_agents",
    "get_agent",
    "get_agents",
    "key_check",
    "living_planes",
    "not_as_admitted",
    "note_connected",
    "note_faults",
    "note_living",
    "visible",
]
