"""The Celery application that worker and submitter share."""

import os

from bench.ledger import Writer
from bench.peers import untyped

app = untyped("celery").Celery("bench", broker=os.environ["BENCH_REDIS_URL"])
app.conf.update(
    task_ignore_result=True,
    worker_prefetch_multiplier=64,
    # Without these two a task of a killed worker is lost; with them Celery promises what we do.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    broker_connection_retry_on_startup=True,
)
_ledger = Writer()


@app.task
def note(sent_ns: int) -> None:
    _ledger.has(sent_ns)
