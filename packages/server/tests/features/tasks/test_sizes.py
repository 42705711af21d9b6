"""What fits into no message to an agent is refused where it comes in, and not found out later."""

from typing import Any

import httpx
import pytest
from google.protobuf.struct_pb2 import Value
from orchestra.features.tasks.service.submitting.validation import prepare
from orchestra.features.tasks.service.values import to_value
from orchestra.features.tasks.types import NewTask
from orchestra.foundation import ids
from orchestra_protocol import agent_pb2 as pb

pytestmark = pytest.mark.anyio

# Less than a megabyte as JSON, and more than four on the stream.
DIGITS = [0] * 450_000
# A control plane's messages, where much of them would take long.
SMALL = 65_536


async def test_every_way_in_refuses_an_input_that_no_agent_could_be_sent(
    world: Any, http: httpx.AsyncClient
) -> None:
    wish = {"capability": "echo", "input": DIGITS}
    dead = await world.submit("echo", 1)
    async with world.database.transaction() as tx:
        failed = "UPDATE tasks SET state = 'failed', finished_at = now(), error = $2 WHERE id = $1"
        await tx.execute(failed, dead.id, {"code": "broken", "message": "It broke."})
    answers = [
        await http.post("/api/tasks", json=wish),
        await http.post("/api/tasks/batch", json={"tasks": [{**wish, "input": 1}, wish]}),
        await http.post(
            "/api/dead-letters/replay", json={"task_ids": [str(dead.id)], "input": DIGITS}
        ),
    ]
    for answer in answers:
        assert answer.status_code == 413, answer.text
        assert answer.json()["code"] == "input_too_large"
        assert "bytes on the stream to an agent; 4186112 are possible" in answer.json()["detail"]
        assert "blob" in answer.json()["detail"]
    assert (await world.task(dead.id)).state == "failed"


async def test_the_largest_input_that_is_taken_in_arrives(world: Any, wire: Any) -> None:
    settings = world.settings.with_values("test", max_grpc_message_bytes=SMALL)
    most = SMALL - 8_192 - 4
    large = NewTask(input="x" * most, capability="echo")
    prepare(large, ids.new_id(), settings)
    async with wire(await world.plane(max_grpc_message_bytes=SMALL)) as agent:
        await agent.connect()
        await world.submit("echo", large.input)
        assert agent.assignment(await agent.assigned()).input.string_value == large.input


async def test_a_child_whose_input_no_agent_could_be_sent_is_refused(world: Any, wire: Any) -> None:
    async with wire(await world.plane(max_grpc_message_bytes=SMALL * 2)) as agent:
        await agent.connect()
        await world.submit("echo", 1)
        run = await agent.assigned()
        command = agent.spawn("a", "b")
        command.spawn.children[1].input.CopyFrom(to_value([0] * 11_500))
        refused = (await agent.ask_for(run, command)).refused
        assert refused.code == "input_too_large"
        assert refused.message.startswith("The child 'b': The input has ")
        assert (await agent.ask_for(run, agent.spawn("a"))).HasField("spawned")


async def test_a_result_that_its_parent_could_not_be_told_is_refused(world: Any, wire: Any) -> None:
    async with wire(await world.plane(max_grpc_message_bytes=SMALL)) as agent:
        await agent.connect()
        task = await world.submit("echo", 1)
        run = await agent.assigned()
        output = to_value([0] * 5_400)
        assert SMALL - 8_192 < output.ByteSize() < SMALL - 1_024
        await agent.say(run, pb.AgentEvent(sequence=1, result=pb.Result(output=output)))
        failed = await world.state(task.id, "failed")
    assert failed.error.code == "result_too_large"
    assert "bytes on the stream" in failed.error.message


async def test_steps_that_grow_when_they_are_told_again_are_refused_in_time(
    world: Any, wire: Any
) -> None:
    """A value of no kind has no byte of its own; as null, which it comes back as, it has two."""
    sparse = Value()
    sparse.list_value.values.extend([Value()] * 7_000)
    await world.worker()
    async with wire(await world.plane(max_grpc_message_bytes=SMALL)) as agent:
        await agent.connect()
        task = await world.submit("echo", 1, max_attempts=2)
        run = await agent.assigned()
        replies = [
            await agent.ask_for(run, pb.Command(save_step=pb.SaveStep(name=name, output=sparse)))
            for name in "abc"
        ]
        kept = [reply.HasField("saved") for reply in replies]
        assert kept == [True, True, False]
        assert replies[2].refused.code == "steps_too_large"
        await agent.say(run, agent.failure(1, "broken", retryable=True))
        again = agent.assignment(await agent.assigned())
        assert [step.name for step in again.steps] == ["a", "b"]
    assert (await world.task(task.id)).attempt == 2
