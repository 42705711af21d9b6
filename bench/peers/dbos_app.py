"""The worker of DBOS: `python -m bench.peers.dbos_app URL`."""

import sys
import threading

from bench.ledger import Writer
from bench.peers import untyped

NAME, QUEUE, APPLICATION = "note", "q", "bench"
SLOTS = 8
READY = "the queue is there"
# The default of 1 s would be half a second of latency and eight tasks a second; this one costs half
# a core while idle.
POLL_SECONDS = 0.005


def main(url: str) -> None:
    dbos = untyped("dbos").DBOS
    ledger = Writer()

    def note(sent_ns: int) -> None:
        ledger.has(sent_ns)

    dbos(
        config={
            "name": APPLICATION,
            "system_database_url": url,
            "sys_db_pool_size": 20,
            "log_level": "WARNING",
            "application_version": "1",
        }
    )
    dbos.workflow(name=NAME)(note)
    dbos.launch()
    dbos.register_queue(
        QUEUE,
        worker_concurrency=SLOTS,
        polling_interval_sec=POLL_SECONDS,
        on_conflict="always_update",
    )
    print(READY, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1])
