"""Large values: what handlers store and fetch, and what happens to it on a bad network."""

import asyncio
import io
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from orchestra_sdk import Agent, BlobError, Context, SyncContext
from orchestra_sdk.testing import ControlPlane, TaskFailed, serving

pytestmark = pytest.mark.anyio

LARGE = bytes(range(256)) * 12_000


@pytest.fixture
def turning() -> Agent:
    """An agent that answers with its input turned around."""
    agent = Agent("turning")

    @agent.task("turn")
    async def turn(ctx: Context, input: dict[str, str]) -> dict[str, Any]:
        content = await ctx.blobs.get(input)
        return {"turned": await ctx.blobs.put(content[::-1], media_type="text/plain")}

    @agent.task("turn-plainly")
    def turn_plainly(ctx: SyncContext, input: dict[str, str]) -> dict[str, Any]:
        return {"turned": ctx.blobs.put(ctx.blobs.get(input)[::-1])}

    return agent


@pytest.mark.parametrize("capability", ["turn", "turn-plainly"])
async def test_large_inputs_and_results_go_through_blobs(
    plane: ControlPlane, turning: Agent, capability: str
) -> None:
    async with serving(turning, plane):
        task = await plane.submit(capability, plane.blobs.put(LARGE))
        result = await task.result()
    assert plane.blobs.get(result["turned"]) == LARGE[::-1]


async def test_what_is_streamed_is_stored(plane: ControlPlane, tmp_path: Path) -> None:
    agent = Agent("streaming")
    source = tmp_path / "source.bin"
    source.write_bytes(LARGE)

    @agent.task("stream")
    async def stream(ctx: Context, input: None) -> list[dict[str, str]]:
        async def pieces() -> AsyncIterator[bytes]:
            for start in range(0, len(LARGE), 100_000):
                await asyncio.sleep(0)
                yield LARGE[start : start + 100_000]

        return [
            await ctx.blobs.put(pieces()),
            await ctx.blobs.put(source),
            await ctx.blobs.put(io.BytesIO(LARGE)),
            await ctx.blobs.put([LARGE[:5], LARGE[5:]]),
            await ctx.blobs.put(b""),
        ]

    async with serving(agent, plane):
        stored = await (await plane.submit("stream")).result()
    assert [plane.blobs.get(value) for value in stored] == [LARGE] * 4 + [b""]


async def test_what_is_fetched_is_streamed(plane: ControlPlane, tmp_path: Path) -> None:
    agent = Agent("fetching")

    @agent.task("fetch")
    async def fetch(ctx: Context, input: dict[str, str]) -> list[int]:
        await ctx.blobs.save(input, tmp_path / "async.bin")
        return [len(piece) async for piece in ctx.blobs.stream(input)]

    @agent.task("fetch-plainly")
    def fetch_plainly(ctx: SyncContext, input: dict[str, str]) -> list[int]:
        ctx.blobs.save(input, tmp_path / "sync.bin")
        return [len(piece) for piece in ctx.blobs.stream(input["$blob"])]

    async with serving(agent, plane):
        for capability in ("fetch", "fetch-plainly"):
            task = await plane.submit(capability, plane.blobs.put(LARGE))
            sizes = await task.result()
            assert sum(sizes) == len(LARGE)
            assert max(sizes) <= 256 * 1024
    assert _files(tmp_path) == {"async.bin": LARGE, "sync.bin": LARGE}


@pytest.mark.parametrize("capability", ["turn", "turn-plainly"])
async def test_a_bad_network_is_survived(
    plane: ControlPlane, turning: Agent, capability: str
) -> None:
    plane.blobs.failing, plane.blobs.cutting = 1, 2
    async with serving(turning, plane):
        task = await plane.submit(capability, plane.blobs.put(LARGE))
        result = await task.result()
    assert plane.blobs.get(result["turned"]) == LARGE[::-1]
    assert (plane.blobs.failing, plane.blobs.cutting) == (0, 0)


async def test_what_cannot_be_had_fails_the_task(plane: ControlPlane, turning: Agent) -> None:
    async with serving(turning, plane):
        absent = await plane.submit("turn", {"$blob": "0" * 64})
        with pytest.raises(TaskFailed, match="blob_not_found"):
            await absent.result()
        nonsense = await plane.submit("turn-plainly", {"$blob": "no name"})
        with pytest.raises(TaskFailed, match="bad_blob_reference"):
            await nonsense.result()
        plane.blobs.max_bytes = 1_000
        large = await plane.submit("turn", plane.blobs.put(LARGE))
        with pytest.raises(TaskFailed, match="blob_too_large A blob may have 1000 bytes"):
            await large.result()


async def test_content_that_is_not_what_its_name_says_is_refused(
    plane: ControlPlane, turning: Agent, tmp_path: Path
) -> None:
    agent = Agent("saving")

    @agent.task("save")
    async def save(ctx: Context, input: dict[str, str]) -> None:
        await ctx.blobs.save(input, tmp_path / "damaged.bin")

    damaged = plane.blobs.put(LARGE)
    plane.blobs.contents[damaged["$blob"]] = LARGE[::-1]
    async with serving(turning, plane), serving(agent, plane):
        for capability in ("turn", "save"):
            task = await plane.submit(capability, damaged)
            with pytest.raises(TaskFailed, match="blob_mismatch"):
                await task.result()
    assert _files(tmp_path) == {}


async def test_no_more_is_held_than_was_allowed(plane: ControlPlane) -> None:
    agent = Agent("bounded")

    @agent.task("bound")
    async def bound(ctx: Context, input: dict[str, str]) -> str:
        with pytest.raises(BlobError, match="more than 1000 bytes"):
            await ctx.blobs.get(input, limit=1_000)
        return (await ctx.blobs.get(input, limit=len(LARGE)))[:3].hex()

    async with serving(agent, plane):
        task = await plane.submit("bound", plane.blobs.put(LARGE))
        assert await task.result() == "000102"


async def test_a_run_takes_back_what_it_has_stored(plane: ControlPlane) -> None:
    agent = Agent("tidy")

    @agent.task("tidy")
    async def tidy(ctx: Context, input: None) -> None:
        scratch = await ctx.blobs.put(b"scratch")
        await ctx.blobs.delete(scratch)

    @agent.task("tidy-plainly")
    def tidy_plainly(ctx: SyncContext, input: None) -> None:
        ctx.blobs.delete(ctx.blobs.put(b"scratch"))

    async with serving(agent, plane):
        for capability in ("tidy", "tidy-plainly"):
            await (await plane.submit(capability)).result()
    assert plane.blobs.contents == {}


async def test_a_cancelled_handler_leaves_in_the_middle_of_an_upload(plane: ControlPlane) -> None:
    agent = Agent("endless")
    begun = asyncio.Event()

    @agent.task("endless")
    async def endless(ctx: Context, input: None) -> None:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"x" * 1_000_000
            begun.set()
            await asyncio.Event().wait()

        await ctx.blobs.put(pieces())

    async with serving(agent, plane):
        task = await plane.submit("endless")
        await begun.wait()
        task.cancel()
        await task.wait_for(lambda it: it.finished)
    assert task.state == "cancelled"
    assert plane.blobs.contents == {}


async def test_what_the_content_raises_fails_the_upload(plane: ControlPlane) -> None:
    agent = Agent("raising")

    @agent.task("raise")
    def raising(ctx: SyncContext, input: None) -> None:
        def pieces() -> Iterator[bytes]:
            yield b"x"
            raise LookupError("no more to be had")

        ctx.blobs.put(pieces())

    async with serving(agent, plane):
        task = await plane.submit("raise", max_attempts=1)
        with pytest.raises(TaskFailed, match="no more to be had"):
            await task.result()
    assert plane.blobs.contents == {}


def _files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}
