"""Background work of workflows: a node's end takes its run on."""

from orchestra.features.events import Outbox
from orchestra.features.tasks import OnTaskFinished, Rerun
from orchestra.features.workflows.service.running import Runner
from orchestra.foundation.messaging import Bus
from orchestra.foundation.settings import Settings


def on_task_finished(outbox: Outbox, bus: Bus, settings: Settings) -> OnTaskFinished:
    """What tasks call in their transaction when a task is over, at least once."""
    return Runner(outbox, bus, settings).on_task_finished


def rerun(outbox: Outbox, bus: Bus, settings: Settings) -> Rerun:
    """What tasks call when somebody wants a dead letter again that is a run."""
    return Runner(outbox, bus, settings).rerun
