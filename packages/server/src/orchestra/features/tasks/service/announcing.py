"""Tells all processes at once what they would otherwise find in the database a little later."""

from collections.abc import Iterable
from typing import Protocol

import nats.errors
import structlog

from orchestra.features.tasks import events
from orchestra.features.tasks.types import QueueName
from orchestra.foundation.errors import Unavailable
from orchestra.foundation.messaging import Bus

log = structlog.get_logger(__name__)


class Waiting(Protocol):
    """A task that waits in a queue; that of a capability has its name."""

    @property
    def queue(self) -> QueueName: ...
    @property
    def capability(self) -> str: ...


async def tell_of_waiting(bus: Bus, tasks: Iterable[Waiting]) -> None:
    """Tells control planes of tasks for a single agent: its queue has no consumer of its own."""
    await wake(bus, (task.queue for task in tasks if task.queue != task.capability))


async def wake(bus: Bus, queues: Iterable[QueueName]) -> None:
    """Lets every control plane look into the queues."""
    for queue in dict.fromkeys(queues):
        await tell(bus, events.WAKE_SUBJECT, queue.encode())


async def tell(bus: Bus, subject: str, payload: bytes) -> None:
    """Tells all processes that listen now; while NATS is away nobody hears it."""
    try:
        await bus.announce(subject, payload)
    except (Unavailable, OSError, nats.errors.Error) as error:
        log.warning("nobody was told", subject=subject, error=str(error) or type(error).__name__)
