"""REST doors of workflows and tasks, and a worker that takes runs on."""

from typing import Any

import pytest
from orchestra.features.events import Outbox
from orchestra.features.tasks import rest as tasks_rest
from orchestra.features.workflows import jobs, rest


@pytest.fixture
async def doors(world: Any, anyio_backend: str) -> Any:
    outbox = Outbox(world.bus, world.database)
    parts = outbox, world.bus, world.settings, world.submitter.room
    await world.worker(jobs.on_task_finished(*parts))
    world.submitter.rerun = jobs.rerun(*parts)
    yield world.door([*rest.routes, *tasks_rest.routes], outbox=outbox, feeds=None)
    await outbox.close()


@pytest.fixture
async def http(world: Any, doors: Any) -> Any:
    async with doors(world.key) as client:
        yield client
