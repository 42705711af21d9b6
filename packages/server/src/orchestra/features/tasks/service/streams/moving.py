"""Agents that move from one control plane to another, and names that two processes claim.

Within one control plane a name that is in use is seen at once; another one is asked, by core NATS,
before it is told that the agent is here now. One that has died does not answer.
"""

import uuid

import msgspec
import nats.errors
import structlog
from nats.aio.msg import Msg

from orchestra.features.agents import AWAY, Agent, NameTaken, Registry
from orchestra.foundation import clock
from orchestra.foundation.messaging import Bus

log = structlog.get_logger(__name__)

SUBJECT = "control.present"
# One that lives answers within milliseconds; an agent must not wait for one that hangs.
ANSWER_SECONDS = 1.0
# One that has not answered is not asked again for so long.
SILENT_SECONDS = 1.0
FREE, TAKEN = b"free", b"taken"


class _Question(msgspec.Struct, frozen=True):
    agent_id: uuid.UUID
    instance_id: str


class Elsewhere:
    """The other control planes, as one of them sees them."""

    def __init__(self, bus: Bus, *, control_plane_id: str) -> None:
        self._bus = bus
        self._control_plane_id = control_plane_id
        self._silent_since: dict[str, float] = {}

    async def check_free(self, record: Agent, *, instance_id: str) -> None:
        """Raises NameTaken if another process has the agent's name at another control plane."""
        elsewhere = record.control_plane
        if record.status in AWAY or elsewhere is None:
            return
        if elsewhere == self._control_plane_id or self._is_silent(elsewhere):
            return
        question = msgspec.json.encode(_Question(record.id, instance_id))
        try:
            answer = await self._bus.client.request(
                f"{SUBJECT}.{elsewhere}", question, timeout=ANSWER_SECONDS
            )
        except (OSError, TimeoutError, nats.errors.Error):
            self._silent_since[elsewhere] = clock.monotonic()
            return  # it is dead or hangs: its agents go on here
        if answer.data == TAKEN:
            raise NameTaken(
                f"Another process is connected as {record.name!r}; give each process its own name."
            )

    def _is_silent(self, control_plane_id: str) -> bool:
        """Whether it has not answered just now: its agents come all at once when it has died."""
        limit = clock.monotonic() - SILENT_SECONDS
        for known, since in list(self._silent_since.items()):
            if since < limit:
                del self._silent_since[known]
        return control_plane_id in self._silent_since


async def answer(registry: Registry, message: Msg) -> None:
    """Says whether a living process of the agent is connected here that is not the asking one."""
    try:
        question = msgspec.json.decode(message.data, type=_Question)
    except msgspec.MsgspecError:
        log.warning("a question cannot be read", subject=message.subject)
        return
    said = FREE
    present = registry.get(question.agent_id)
    if present is not None:
        try:
            registry.check_free(present.id, question.instance_id)
        except NameTaken:
            said = TAKEN
    await message.respond(said)
