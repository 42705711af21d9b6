"""What can be wrong with an agent."""

from typing import ClassVar

from orchestra.foundation.errors import Conflict, Forbidden, NotFound


class AgentNotFound(NotFound):
    """There is no such agent, or it is somebody else's."""

    code: ClassVar[str] = "agent_not_found"


class AgentConnected(Conflict):
    """The agent is connected; stop it before it is forgotten."""

    code: ClassVar[str] = "agent_connected"


class NameTaken(Conflict):
    """Another process is connected under this agent's name; give each process its own."""

    code: ClassVar[str] = "agent_name_taken"


class TooManyAgents(Conflict):
    """You have as many agents as one person may have."""

    code: ClassVar[str] = "too_many_agents"


class InvalidEnrolment(Forbidden):
    """The enrolment token is not valid: it was used, has expired or is mistyped."""

    code: ClassVar[str] = "invalid_enrolment"


class KeyOfAnotherAgent(Forbidden):
    """This key belongs to an agent with another name."""

    code: ClassVar[str] = "key_of_another_agent"
