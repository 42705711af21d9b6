"""The Taskiq broker of the fault comparison; acknowledges after the task, as it does by itself."""

import asyncio
import os

from bench.peers import effects, untyped

broker = untyped("taskiq_nats").PullBasedJetStreamBroker(
    servers=[os.environ["BENCH_NATS_URL"]], pull_consume_batch=8, pull_consume_timeout=0.05
)


@broker.task
async def work(number: int) -> None:
    await asyncio.sleep(effects.WORK_SECONDS)
    effects.note(number)
