"""SQL of agents: as they are, what they may do now, and their keys."""

from orchestra.features.agents.repository.keys import (
    AgentKeyRow,
    active_key,
    insert_enrolment,
    insert_key,
    touch_key,
    use_enrolment,
)
from orchestra.features.agents.repository.records import (
    AgentFilter,
    abandon_silent,
    connected,
    count_by_status,
    find,
    forget,
    get,
    names,
    save_states,
    upsert,
)

__all__ = [
    "AgentFilter",
    "AgentKeyRow",
    "abandon_silent",
    "active_key",
    "connected",
    "count_by_status",
    "find",
    "forget",
    "get",
    "insert_enrolment",
    "insert_key",
    "names",
    "save_states",
    "touch_key",
    "upsert",
    "use_enrolment",
]
