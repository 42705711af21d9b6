"""Serves an agent beside a test."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from orchestra_sdk._agent import Agent
from orchestra_sdk.testing._plane import ConnectedAgent, ControlPlane


@asynccontextmanager
async def serving(agent: Agent, plane: ControlPlane) -> AsyncIterator[ConnectedAgent]:
    """Serve `agent` on the present event loop while the block runs, connected from its start."""
    loop = asyncio.get_running_loop()
    served = loop.create_task(agent.serve(url=plane.url, key=plane.key), name=f"agent {agent.name}")
    try:
        yield await _connected(agent, plane, served)
    finally:
        agent.stop()
        agent.stop()  # the test is over: nobody waits for handlers
        await served


async def _connected(
    agent: Agent, plane: ControlPlane, served: "asyncio.Task[None]"
) -> ConnectedAgent:
    waiting = asyncio.ensure_future(plane.agent(agent.name))
    await asyncio.wait({waiting, served}, return_when=asyncio.FIRST_COMPLETED)
    if not waiting.done():
        waiting.cancel()
        await served  # raises why it could not connect
    return await waiting
