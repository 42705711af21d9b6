"""The worker of Temporal: `python -m bench.peers.temporal_app ADDRESS [activity]`."""

import asyncio
import sys
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from bench.ledger import Writer

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
    client = await Client.connect(address)
    worker = Worker(
        client,
        task_queue=QUEUE,
        workflows=[Note, NoteByActivity],
        activities=[write],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_concurrent_workflow_tasks=SLOTS,
        max_concurrent_activities=SLOTS,
    )
    await worker.run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
