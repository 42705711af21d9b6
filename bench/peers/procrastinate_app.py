"""The procrastinate application that worker and submitter share. As a program it is the worker."""

import asyncio
import os

from bench.ledger import Writer
from bench.peers import untyped

QUEUE = "q"
SLOTS = 8

_procrastinate = untyped("procrastinate")
app = _procrastinate.App(
    connector=_procrastinate.PsycopgConnector(
        conninfo=os.environ["BENCH_PROCRASTINATE_URL"], min_size=2, max_size=12
    )
)
_ledger = Writer()


@app.task(name="note", queue=QUEUE)
async def note(sent_ns: int) -> None:
    _ledger.has(sent_ns)


async def main() -> None:
    async with app.open_async():
        await app.run_worker_async(queues=[QUEUE], concurrency=SLOTS)


if __name__ == "__main__":
    asyncio.run(main())
