"""What every test of the SDK may ask for: a control plane in memory that speaks real gRPC."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from orchestra_sdk import Agent, Context
from orchestra_sdk.testing import ControlPlane


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def counting() -> tuple[Agent, asyncio.Event]:
    """An agent that counts in words, and stops half way until the event is set."""
    agent = Agent("counting")
    onward = asyncio.Event()

    @agent.task("count")
    async def count(ctx: Context, input: int) -> int:
        for number in range(input):
            await ctx.emit(f"{number} ")
            if number == input // 2:
                await onward.wait()
        return input

    return agent, onward


@pytest.fixture
async def plane() -> AsyncIterator[ControlPlane]:
    async with ControlPlane() as plane:
        yield plane
