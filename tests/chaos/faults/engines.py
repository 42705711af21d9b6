"""PostgreSQL and NATS die, lose what they had, and are away for a while."""

import shutil

from chaos.faults.fault import Fault
from chaos.stage import Stage

RESTART_SECONDS = 60.0


def _kill_nats_and_its_store(stage: Stage) -> None:
    """Invariant: JetStream is a conveyor; deleting its whole store loses nothing acknowledged."""
    stage.wait_for_load(0.2, 0.6)
    former = stage.product.pid("nats")
    stage.product.kill("nats")
    shutil.rmtree(stage.product.data_dir / "nats" / "store", ignore_errors=True)
    stage.product.wait_restarted("nats", former, seconds=RESTART_SECONDS)


def _kill_postgres(stage: Stage) -> None:
    stage.wait_for_load(0.2, 0.6)
    former = stage.product.pid("postgres")
    with stage.api_may_fail(after=5.0):
        stage.product.kill("postgres")
        stage.product.wait_restarted("postgres", former, seconds=RESTART_SECONDS)


FAULTS = (
    Fault(
        name="nats-store-lost",
        about="kill -9 of NATS, and its whole store is deleted",
        run=_kill_nats_and_its_store,
        is_short=True,
    ),
    Fault(
        name="kill-postgres",
        about="kill -9 of PostgreSQL; it recovers from its log",
        run=_kill_postgres,
        is_short=True,
    ),
)
