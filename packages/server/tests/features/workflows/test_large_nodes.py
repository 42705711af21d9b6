"""What nodes are given, and what a run gives, has the bounds of any task."""

from typing import Any

import pytest
from orchestra.features.tasks.service.values import to_value
from orchestra_protocol import agent_pb2 as pb

pytestmark = pytest.mark.anyio

# Digits of which one page is not too large, and five together are, though less than a megabyte.
PAGE = [0] * 90_000
FIVE = [{"$node": "fetch"}] * 5


async def failure_of(world: Any, wire: Any, http: Any, spec: Any) -> Any:
    """Why a run of the workflow fails whose first node gives a page."""
    answer = await http.post("/api/workflows", json={"name": "news", "spec": spec})
    assert answer.status_code == 201, answer.text
    async with wire(await world.plane()) as agent:
        await agent.connect()
        run = (await http.post("/api/workflows/news/runs", json={"input": None})).json()
        page = pb.Result(output=to_value(PAGE))
        await agent.say(await agent.assigned(), pb.AgentEvent(sequence=1, result=page))
        return (await world.state(run["task_id"], "failed")).error


async def test_a_run_whose_next_node_no_agent_could_be_sent_ends_and_says_so(
    world: Any, wire: Any, http: Any
) -> None:
    nodes = {"fetch": {"capability": "echo"}, "join": {"capability": "echo", "input": FIVE}}
    error = await failure_of(world, wire, http, {"nodes": nodes})
    assert error.code == "input_too_large"
    assert error.message.startswith("The child 'join': The input has ")
    assert "blob" in error.message


async def test_a_run_whose_result_fits_into_no_message_fails_and_says_so(
    world: Any, wire: Any, http: Any
) -> None:
    spec = {"nodes": {"fetch": {"capability": "echo"}}, "output": FIVE}
    error = await failure_of(world, wire, http, spec)
    assert error.code == "result_too_large"
    assert "bytes on the stream" in error.message
