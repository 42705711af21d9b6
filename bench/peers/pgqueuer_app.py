"""The worker of pgqueuer: `python -m bench.peers.pgqueuer_app URL BATCH [MOST_AT_ONCE]`."""

import asyncio
import sys
from typing import Any

import asyncpg

from bench.ledger import Writer
from bench.peers import untyped

NAME = "note"


async def main(url: str, batch: int, most: int | None) -> None:
    connection: Any = await asyncpg.connect(url)
    queuer = untyped("pgqueuer").PgQueuer.from_asyncpg_connection(connection)
    ledger = Writer()

    @queuer.entrypoint(NAME)
    async def note(job: Any) -> None:
        ledger.has(int(job.payload))

    await queuer.run(batch_size=batch, max_concurrent_tasks=most)


if __name__ == "__main__":
    _, url, batch, *most = sys.argv
    asyncio.run(main(url, int(batch), int(most[0]) if most else None))
