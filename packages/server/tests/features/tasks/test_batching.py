"""Work in batches: each caller gets its own outcome, and one that fails harms no other."""

import asyncio
from collections.abc import Sequence

import pytest
from orchestra.features.tasks.service.batching import Batcher
from orchestra.foundation.errors import Unavailable

pytestmark = pytest.mark.anyio


async def test_what_arrives_during_a_batch_is_the_next(anyio_backend: str) -> None:
    batches: list[int] = []

    async def work(items: Sequence[int]) -> list[int | Exception]:
        batches.append(len(items))
        await asyncio.sleep(0)
        return [item * 2 for item in items]

    batcher = Batcher("test", work, largest=10, parallel=1)
    outcomes = await asyncio.gather(*(batcher.submit(number) for number in range(25)))
    assert outcomes == [number * 2 for number in range(25)]
    assert len(batches) <= 4
    await batcher.close()


async def test_one_item_that_cannot_be_done_does_not_harm_the_others(anyio_backend: str) -> None:
    async def work(items: Sequence[int]) -> list[int | Exception]:
        if 3 in items:
            raise ValueError("three")
        return list(items)

    batcher = Batcher("test", work)
    outcomes = await asyncio.gather(
        *(batcher.submit(number) for number in range(6)), return_exceptions=True
    )
    assert [item for item in outcomes if isinstance(item, int)] == [0, 1, 2, 4, 5]
    assert isinstance(outcomes[3], ValueError)
    await batcher.close()


async def test_too_many_waiting_are_refused(anyio_backend: str) -> None:
    async def work(items: Sequence[int]) -> list[int | Exception]:
        await asyncio.Event().wait()
        return list(items)

    batcher = Batcher("test", work, max_waiting=2)
    first = [asyncio.ensure_future(batcher.submit(number)) for number in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await batcher.submit(3)
    await batcher.close()
    outcomes = await asyncio.gather(*first, return_exceptions=True)
    assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)


async def test_a_batch_that_was_cut_off_can_be_tried_again(anyio_backend: str) -> None:
    """Whoever waits for the outcome of an end or a command asks again; it would wait for ever."""

    async def work(items: Sequence[int]) -> list[int | Exception]:
        if len(tries) == 1:
            broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            broken.cancel()
            await broken
        return list(items)

    tries: list[int] = []
    batcher = Batcher("test", work)
    tries.append(1)
    with pytest.raises(Unavailable):
        await batcher.submit(1)
    tries.append(2)
    assert await batcher.submit(1) == 1
    await batcher.close()
