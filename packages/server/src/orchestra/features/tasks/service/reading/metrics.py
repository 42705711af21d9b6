"""The numbers of the whole installation, from one control plane at a time, every two seconds."""

import asyncio
from collections.abc import Mapping

import msgspec
import psutil
import structlog
from nats.aio.msg import Msg
from prometheus_client import Gauge

from orchestra.features import agents
from orchestra.features.agents import AgentStatus
from orchestra.features.events import METRICS_TOPIC, event_payload
from orchestra.features.tasks import events
from orchestra.features.tasks.repository import reading
from orchestra.features.tasks.service.announcing import tell
from orchestra.foundation.database import Database
from orchestra.foundation.errors import Unavailable
from orchestra.foundation.messaging import Bus, Message

log = structlog.get_logger(__name__)

MEASURE_SECONDS = 2.0
# Any fixed number: who holds this lock measures.
METRICS_LOCK = 7_203_353
TASKS = Gauge("ai_orchestra_tasks", "Tasks in the whole installation", ("state",))
AGENTS = Gauge("ai_orchestra_agents_by_status", "Agents in the whole installation", ("status",))


class _Counts(msgspec.Struct):
    """What every process shows to Prometheus."""

    agents: dict[str, int]
    tasks: dict[str, int]


class _Event(msgspec.Struct):
    type: str
    data: dict[str, float]


class SystemMetrics:
    """Measures if it is this process's turn, and knows the newest numbers in any case."""

    def __init__(self, database: Database, bus: Bus) -> None:
        self._database = database
        self._bus = bus
        self._newest: Mapping[str, float] = {}

    @property
    def newest(self) -> Mapping[str, float]:
        """Empty until the first measurement has come."""
        return self._newest

    async def start(self) -> None:
        """Begins to hear what is measured, here or in another process."""
        await self._bus.listen(METRICS_TOPIC, self._received)
        await self._bus.listen(events.COUNTS_SUBJECT, self._counted)

    async def run(self) -> None:
        """Waits for its turn, then measures until the process or the connection ends."""
        while True:
            try:
                async with self._database.session_lock(METRICS_LOCK) as is_ours:
                    while is_ours:
                        await self._measure()
                        await asyncio.sleep(MEASURE_SECONDS)
            except Unavailable as error:
                log.warning("the system was not measured", error=error.message)
            await asyncio.sleep(MEASURE_SECONDS)

    async def _measure(self) -> None:
        async with self._database.transaction() as tx:
            counts = await reading.counts(tx)
            by_status = await agents.count_by_status(tx)
        total = sum(by_status.values())
        measured = {
            "agents_online": total - sum(by_status.get(status, 0) for status in agents.AWAY),
            "agents_total": total,
            "tasks_queued": counts.queued,
            "tasks_running": counts.running,
            "tasks_finished_per_minute": counts.finished_in_a_minute,
            "cpu_usage": psutil.cpu_percent(interval=None) / 100,
            "memory_usage": psutil.virtual_memory().percent / 100,
        }
        payload = event_payload("system.metrics", measured)
        await self._bus.publish_soon(Message(METRICS_TOPIC, payload))
        numbers = _Counts(
            {status: by_status.get(status, 0) for status in AgentStatus},
            {"queued": counts.queued, "running": counts.running},
        )
        await tell(self._bus, events.COUNTS_SUBJECT, msgspec.json.encode(numbers))

    async def _counted(self, message: Msg) -> None:
        try:
            numbers = msgspec.json.decode(message.data, type=_Counts)
        except msgspec.MsgspecError:
            log.warning("counts cannot be read")
            return
        for status, count in numbers.agents.items():
            AGENTS.labels(status).set(count)
        for state, count in numbers.tasks.items():
            TASKS.labels(state).set(count)

    async def _received(self, message: Msg) -> None:
        try:
            self._newest = msgspec.json.decode(message.data, type=_Event).data
        except msgspec.MsgspecError:
            log.warning("metrics cannot be read")
