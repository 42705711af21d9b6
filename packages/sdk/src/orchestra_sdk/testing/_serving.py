"""Serves an agent beside a test."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from orchestra_sdk import _tasks
from orchestra_sdk._agent import Agent
from orchestra_sdk.testing._agents import ConnectedAgent
from orchestra_sdk.testing._plane import ControlPlane


@asynccontextmanager
async def serving(agent: Agent, plane: ControlPlane) -> AsyncGenerator[ConnectedAgent]:
    """Serve `agent` on the present event loop while the block runs, connected from its start."""
    served = _tasks.spawn(agent.serve(url=plane.url, key=plane.key), name=f"agent {agent.name}")
    try:
        yield await _connected(agent, plane, served)
    finally:
        agent.stop()
        agent.stop()  # the test is over: nobody waits for handlers
        await served


async def _connected(
    agent: Agent, plane: ControlPlane, served: "asyncio.Task[None]"
) -> ConnectedAgent:
    waiting = _tasks.spawn(plane.agent(agent.name), name="wait for the agent")
    await asyncio.wait({waiting, served}, return_when=asyncio.FIRST_COMPLETED)
    if not waiting.done():
        waiting.cancel()
        await served  # raises why it could not connect
    return await waiting
