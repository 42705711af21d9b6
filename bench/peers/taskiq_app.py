"""The Taskiq broker and task that worker and submitter share."""

import os

from bench.ledger import Writer
from bench.peers import untyped

broker = untyped("taskiq_nats").PullBasedJetStreamBroker(
    servers=[os.environ["BENCH_NATS_URL"]],
    # A batch above one waits for a full batch unless it has a timeout.
    pull_consume_batch=100,
    pull_consume_timeout=0.05,
)
_ledger = Writer()


@broker.task
async def note(sent_ns: int) -> None:
    _ledger.has(sent_ns)
