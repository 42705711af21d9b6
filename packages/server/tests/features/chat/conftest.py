"""The whole api on real engines, people in it, and a hand that ends tasks as an agent would."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from orchestra.features.chat import jobs
from orchestra.features.tasks import FinishDelivery
from orchestra.foundation.database import Database
from orchestra.foundation.messaging import Bus
from orchestra.foundation.settings import Settings
from orchestra.processes.api import Api, compose
from people import SignIn, browsers, entering, first_administrator, signing_in


@pytest.fixture
def settings(api_settings: Settings) -> Settings:
    return api_settings


@pytest.fixture
async def api(settings: Settings, database: Database, bus: Bus) -> AsyncIterator[Api]:
    api = await compose(settings, database, bus)
    await api.start(bus)
    yield api
    await api.stop()


@pytest.fixture
async def sign_in(api: Api, database: Database, settings: Settings) -> AsyncIterator[SignIn]:
    async with browsers(api.application) as browser:
        enter = entering(browser)
        yield signing_in(enter, await first_administrator(enter, database, settings))


@dataclass(frozen=True)
class Hand:
    """Writes into the tasks table what a control plane commits for an agent."""

    database: Database
    deliver: FinishDelivery

    async def write(self, task_id: str, text: str) -> None:
        await self._update(task_id, "state = 'running', snapshot_text = $2", text)

    async def succeed(self, task_id: str, text: str, finish_reason: Any = "stop") -> None:
        usage = {"completion_tokens": 2}
        result = {"text": text, "finish_reason": finish_reason, "usage": usage}
        await self._update(task_id, f"state = 'succeeded', result = $2, {_OVER}", result)

    async def fail(self, task_id: str, text: str) -> None:
        error = 'error = \'{"code": "agent_failed", "message": "It broke."}\''
        await self._update(task_id, f"state = 'failed', snapshot_text = $2, {error}, {_OVER}", text)

    async def input_of(self, task_id: str) -> Any:
        async with self.database.transaction() as tx:
            return await tx.fetch_value("SELECT input FROM tasks WHERE id = $1", uuid.UUID(task_id))

    async def state_of(self, task_id: str) -> str:
        async with self.database.transaction() as tx:
            return await tx.fetch_value("SELECT state FROM tasks WHERE id = $1", uuid.UUID(task_id))

    async def _update(self, task_id: str, changes: str, value: Any) -> None:
        async with self.database.transaction() as tx:
            sql = f"UPDATE tasks SET {changes}, snapshot_epoch = epoch WHERE id = $1"  # noqa: S608
            assert await tx.execute(sql, uuid.UUID(task_id), value) == 1


_OVER = "finished_at = now(), finish_pending = wants_finish"


@pytest.fixture
def hand(api: Api, database: Database) -> Hand:
    return Hand(database, FinishDelivery(database, [jobs.on_task_finished(api.outbox)]))
