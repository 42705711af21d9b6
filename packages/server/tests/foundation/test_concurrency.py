"""Background tasks have a name, an owner and a guard."""

import asyncio
import contextlib

from orchestra.foundation.concurrency import Guard, forever


def test_a_task_that_fails_is_reported_by_name_and_one_that_is_stopped_is_not() -> None:
    failures: list[str] = []

    async def fail() -> None:
        raise ValueError("no")

    async def body() -> None:
        guard = Guard(on_failure=lambda name, _: failures.append(name))
        failing = guard.spawn("failing", fail())
        guard.spawn("waiting", asyncio.Event().wait())
        await asyncio.wait([failing])
        await guard.stop()
        assert len(guard) == 0

    asyncio.run(body())
    assert failures == ["failing"]


def test_a_task_that_loses_a_cancellation_is_cancelled_again() -> None:
    async def lose_one() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    async def body() -> None:
        guard = Guard()
        losing = guard.spawn("losing", lose_one())
        await asyncio.sleep(0)
        async with asyncio.timeout(10):
            await guard.stop()
        assert losing.cancelled()

    asyncio.run(body())


def test_periodic_work_outlives_a_failure() -> None:
    calls: list[int] = []

    async def body() -> None:
        done = asyncio.Event()

        async def step() -> float:
            calls.append(len(calls))
            if len(calls) == 1:
                raise ValueError("once")
            done.set()
            return 60

        async with Guard() as guard:
            guard.spawn("periodic", forever("periodic", step, retry_seconds=0.01))
            await asyncio.wait_for(done.wait(), timeout=5)

    asyncio.run(body())
    assert calls == [0, 1]


def test_periodic_work_goes_on_when_what_it_waited_for_was_cancelled() -> None:
    calls: list[int] = []

    async def body() -> None:
        done = asyncio.Event()

        async def step() -> float:
            calls.append(len(calls))
            if len(calls) == 1:
                broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                broken.cancel()
                await broken
            done.set()
            return 60

        async with Guard() as guard:
            guard.spawn("periodic", forever("periodic", step, retry_seconds=0.01))
            await asyncio.wait_for(done.wait(), timeout=5)

    asyncio.run(body())
    assert calls == [0, 1]


def test_a_task_whose_future_was_cancelled_is_reported_as_failed() -> None:
    failures: list[str] = []

    async def body() -> None:
        guard = Guard(on_failure=lambda name, _: failures.append(name))
        awaited: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def wait() -> None:
            await awaited

        waiting = guard.spawn("waiting", wait())
        await asyncio.sleep(0)
        awaited.cancel()
        await asyncio.wait([waiting])
        await guard.stop()

    asyncio.run(body())
    assert failures == ["waiting"]
