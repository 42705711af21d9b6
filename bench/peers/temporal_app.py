"""The worker of Temporal: `python -m bench.peers.temporal_app ADDRESS [activity]`."""

import asyncio
import sys
from datetime import timedelta

from bench.ledger import Writer
from bench.peers import untyped

activity, workflow = untyped("temporalio.activity"), untyped("temporalio.workflow")
client, worker = untyped("temporalio.client"), untyped("temporalio.worker")

QUEUE = "q"
SLOTS = 8
ACTIVITY_SECONDS = 30
_ledger = Writer()


@activity.defn
async def write(sent_ns: int) -> None:
    """The task as an activity, which may have effects."""
    _ledger.has(sent_ns)


@workflow.defn
class Note:
    """The task as a workflow alone: its cheapest form."""

    @workflow.run
    async def run(self, sent_ns: int) -> None:
        _ledger.has(sent_ns)


@workflow.defn
class NoteByActivity:
    """The task as Temporal's documents would write it."""

    @workflow.run
    async def run(self, sent_ns: int) -> None:
        limit = timedelta(seconds=ACTIVITY_SECONDS)
        await workflow.execute_activity(write, sent_ns, start_to_close_timeout=limit)


async def main(address: str) -> None:
    await worker.Worker(
        await client.Client.connect(address),
        task_queue=QUEUE,
        workflows=[Note, NoteByActivity],
        activities=[write],
        workflow_runner=worker.UnsandboxedWorkflowRunner(),
        max_concurrent_workflow_tasks=SLOTS,
        max_concurrent_activities=SLOTS,
    ).run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
