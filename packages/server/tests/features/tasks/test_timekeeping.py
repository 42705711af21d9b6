"""One look says what is due; what fails of it keeps nothing else from its time."""

from typing import Any

import pytest
from orchestra.features.events import Outbox
from orchestra.features.tasks import NewTask
from orchestra.features.tasks.service.ends.reconciling import Reconciler
from orchestra.features.tasks.service.timekeeping import LOOK_SECONDS, Timekeeper

pytestmark = pytest.mark.anyio


def timekeeper(world: Any) -> Timekeeper:
    outbox = Outbox(world.bus, world.database)
    return Timekeeper(world.database, outbox, world.bus, world.settings)


async def is_now(world: Any, sql: str, task: Any) -> None:
    async with world.database.transaction() as tx:
        await tx.execute(sql, task.id)


async def delayed(world: Any, seconds: float) -> Any:
    new = NewTask(input=1, capability="echo", delay_seconds=seconds)
    return await world.submitter.submit(world.actor, new)


async def waits_for_a_time(world: Any, task: Any) -> bool:
    async with world.database.transaction() as tx:
        return bool(
            await tx.fetch_value("SELECT run_after IS NOT NULL FROM tasks WHERE id = $1", task.id)
        )


async def test_it_looks_again_when_the_next_time_comes(world: Any) -> None:
    keeper = timekeeper(world)
    assert await keeper.step() == LOOK_SECONDS
    await delayed(world, 3600)
    assert await keeper.step() == LOOK_SECONDS
    await delayed(world, 0.3)
    assert 0 <= await keeper.step() < LOOK_SECONDS


async def test_what_is_due_is_done_beside_what_fails(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = timekeeper(world)
    task, late = await delayed(world, 3600), await world.submit("echo", 1)
    await is_now(world, "UPDATE tasks SET run_after = now() WHERE id = $1", task)
    await is_now(world, "UPDATE tasks SET queue_deadline = now() WHERE id = $1", late)

    async def fail(_: Reconciler) -> int:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(Reconciler, "overdue", fail)
        with pytest.raises(ZeroDivisionError):
            await keeper.step()
    assert not await waits_for_a_time(world, task)
    assert (await world.task(late.id)).state == "queued"
    assert await keeper.step() == 0.0
    assert (await world.task(late.id)).state == "failed"
    assert await keeper.step() == LOOK_SECONDS
