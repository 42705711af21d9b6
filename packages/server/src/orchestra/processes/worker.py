"""`worker`: background jobs. Any number may run; what only one may do, one at a time does."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from orchestra.features.agents import jobs as agents_jobs
from orchestra.features.blobs import jobs as blobs_jobs
from orchestra.features.chat import jobs as chat_jobs
from orchestra.features.events import Outbox
from orchestra.features.events import jobs as events_jobs
from orchestra.features.identity import jobs as identity_jobs
from orchestra.features.providers import jobs as providers_jobs
from orchestra.features.schedules import jobs as schedules_jobs
from orchestra.features.tasks import FinishDelivery, Submitter
from orchestra.features.tasks import jobs as tasks_jobs
from orchestra.features.workflows import jobs as workflows_jobs
from orchestra.foundation import telemetry
from orchestra.foundation.concurrency import Guard, forever
from orchestra.foundation.database import Database
from orchestra.foundation.errors import OrchestraError
from orchestra.foundation.messaging import Bus
from orchestra.foundation.settings import Settings, load
from orchestra.foundation.stream_repair import StreamRepair
from orchestra.processes import connections, health, serving
from orchestra.processes.leader import Leader

log = structlog.get_logger(__name__)

Step = Callable[[], Awaitable[float]]


def command(argv: list[str]) -> int:
    """Run background jobs."""
    settings = load()
    telemetry.configure("worker", settings)
    return serving.run(_main(settings))


@dataclass(frozen=True, slots=True)
class Job:
    """Work done again and again: `step` says in how many seconds."""

    name: str
    step: Step
    is_shared: bool = False  # every worker does it; otherwise only the leader


class Worker:
    """A composed worker; nothing runs before `start`."""

    def __init__(self, settings: Settings, database: Database, bus: Bus) -> None:
        self.outbox = Outbox(bus, database)
        self.submitter = Submitter(database, bus, settings)
        room = self.submitter.room
        self.finishes = FinishDelivery(
            database,
            [
                chat_jobs.on_task_finished(self.outbox),
                schedules_jobs.on_task_finished,
                workflows_jobs.on_task_finished(self.outbox, bus, settings, room),
            ],
            follow=tasks_jobs.follow_ends(self.outbox, bus),
        )
        self.jobs = _jobs(settings, database, bus, self)
        self._bus = bus
        self._leader = Leader(database)
        self._guard = Guard()

    async def start(self) -> None:
        await self.finishes.listen(self._bus)
        self._guard.spawn("leader", self._leader.run())
        for job in self.jobs:
            step = job.step if job.is_shared else self._leader.only(job.step)
            self._guard.spawn(job.name, forever(job.name, step))

    async def stop(self) -> None:
        """Ends the jobs where they are: what is half done is rolled back, and done by another."""
        await self._guard.stop()
        await self.submitter.close()
        await self.outbox.close()


def _jobs(settings: Settings, database: Database, bus: Bus, worker: Worker) -> tuple[Job, ...]:
    outbox, room = worker.outbox, worker.submitter.room
    return (
        Job("outbox relay", events_jobs.relay(outbox, database, bus)),
        Job("frozen streams", StreamRepair(bus).step),
        Job("subscriptions", events_jobs.purge(database)),
        Job("what is due", tasks_jobs.keep_time(database, outbox, bus, settings)),
        Job(
            "nodes without room",
            workflows_jobs.begin_waiting(database, outbox, bus, settings, room),
        ),
        Job("permits", tasks_jobs.renew_permits(database, outbox, bus, settings)),
        Job("fair shares", tasks_jobs.tidy_shares(database, bus)),
        Job("why tasks wait", tasks_jobs.tell_waiting(database, bus)),
        Job("ends of tasks", worker.finishes.step, is_shared=True),
        Job(
            "schedules",
            schedules_jobs.fire(database, bus, outbox, worker.submitter, settings),
            is_shared=True,
        ),
        Job("finished tasks", tasks_jobs.forget(database, settings)),
        Job("idempotency keys", tasks_jobs.release_keys(database, settings)),
        Job("blobs", blobs_jobs.sweep(database, settings)),
        Job("calls of models", providers_jobs.purge(database, settings)),
        Job("silent agents", agents_jobs.abandon_silent(database, bus)),
        Job("answers left behind", chat_jobs.settle_left_behind(database, outbox)),
        Job("deleted conversations", chat_jobs.purge(database)),
        Job("ended logins", lambda: identity_jobs.purge(database)),
    )


async def _main(settings: Settings) -> int:
    stopping = serving.stop_signal()
    try:
        database, bus = await connections.connect(settings, name="worker")
    except OrchestraError as error:
        log.critical("the worker cannot start", error=error.message)
        return 1
    worker, state = Worker(settings, database, bus), health.Health(database, bus)
    await worker.start()
    log.info("the worker runs", jobs=len(worker.jobs), address=settings.worker_listen)
    try:
        await serving.serve(
            health.probes(state),
            settings.worker_listen,
            stopping=stopping,
            before_stop=worker.stop,
        )
    finally:
        await asyncio.gather(bus.close(), database.close(), return_exceptions=True)
    return 0
