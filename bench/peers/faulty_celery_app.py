"""The Celery application of the fault comparison; promises as much as Celery can."""

import os
import time

from bench.peers import effects, untyped

app = untyped("celery").Celery("faulty", broker=os.environ["BENCH_REDIS_URL"])
app.conf.update(
    task_ignore_result=True,
    # Without these two a task of a killed worker is lost.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    broker_connection_retry_on_startup=True,
)


@app.task
def work(number: int) -> None:
    time.sleep(effects.WORK_SECONDS)
    effects.note(number)
