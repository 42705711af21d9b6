"""The long stream: who may open it, what is kept of it, and what comes again after it broke."""

import uuid
from typing import Any

import grpc
import pytest
from orchestra_protocol import agent_pb2 as pb

pytestmark = pytest.mark.anyio


@pytest.fixture
async def plane(world: Any) -> Any:
    return await world.plane()


async def test_a_task_goes_to_an_agent_and_its_result_comes_back(
    world: Any, plane: Any, wire: Any
) -> None:
    async with wire(plane) as agent:
        await agent.connect()
        task = await world.submit("echo", {"text": "hi", "n": 3, "deep": [1, None, True]})
        assigned = await agent.assigned()
        said = pb.Assignment()
        assigned.payload.Unpack(said)
        assert (assigned.task_id, assigned.epoch, said.attempt) == (str(task.id), 2, 1)
        assert said.submitter == "local"
        assert said.run_token
        assert said.idempotency_key == str(task.id)
        await agent.say(assigned, agent.token(1, "Hel"), agent.token(2, "lo"))
        assert (await agent.acked()).sequence == 2
        await agent.say(assigned, agent.result(3, "Hello"))
        assert (await agent.acked()).final
    done = await world.state(task.id, "succeeded")
    assert done.result == "Hello"
    kinds = await world.settled_events(task.id)
    assert [(cursor, kind) for cursor, kind, _ in kinds] == [
        ("1:0", "task.status"),
        ("2:0", "task.status"),
        ("2:1", "task.token"),
        ("2:2", "task.token"),
        ("2:3", "task.finished"),
    ]


async def test_a_stream_has_to_begin_with_hello(world: Any, plane: Any, wire: Any) -> None:
    async with wire(plane) as agent:
        agent.call = agent.stub.TaskBidirectionalStream(
            iter([pb.TaskMessage(type=pb.TASK_TYPE_EVENTS)]), metadata=agent.metadata
        )
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await agent.call.read()
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_nobody_speaks_for_an_agent_of_somebody_else(
    world: Any, plane: Any, wire: Any
) -> None:
    async with wire(plane) as agent:
        agent.agent_id = str(uuid.uuid4())
        with pytest.raises(TimeoutError):
            await agent.connect(seconds=1)
        error = await agent.ended()
    assert error.code() is grpc.StatusCode.NOT_FOUND


async def test_a_second_process_under_the_same_name_is_refused(
    world: Any, plane: Any, wire: Any
) -> None:
    async with wire(plane) as first, wire(plane, instance_id="instance-2") as second:
        await first.connect()
        with pytest.raises(TimeoutError):
            await second.connect(seconds=1)
        error = await second.ended()
        assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
        task = await world.submit("echo", 1)
        await first.say(await first.assigned(), first.result(1))
    await world.state(task.id, "succeeded")


async def test_repeated_events_are_kept_once(world: Any, plane: Any, wire: Any) -> None:
    async with wire(plane) as agent:
        await agent.connect()
        task = await world.submit("echo", 1)
        assigned = await agent.assigned()
        await agent.say(assigned, agent.token(1, "a"), agent.token(2, "b"))
        await agent.say(assigned, agent.token(2, "b"), agent.token(3, "c"))
        await agent.say(assigned, agent.token(1, "a"), agent.result(4))
        await world.state(task.id, "succeeded")
    texts = [data["text"] for _, kind, data in await world.events(task.id) if kind == "task.token"]
    assert texts == ["a", "b", "c"]


async def test_missing_events_end_the_stream_and_come_again_on_the_next(
    world: Any, plane: Any, wire: Any
) -> None:
    async with wire(plane) as agent:
        await agent.connect()
        task = await world.submit("echo", 1)
        assigned = await agent.assigned()
        await agent.say(assigned, agent.token(1, "a"))
        await agent.acked()
        await agent.say(assigned, agent.token(3, "c"))
        error = await agent.ended()
        assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert "sequence_gap" in str(error.trailing_metadata())
        welcome = await agent.connect((assigned.task_id, assigned.epoch))
        assert [(item.task_id, item.sequence) for item in welcome.resumed] == [(str(task.id), 1)]
        await agent.say(assigned, agent.token(2, "b"), agent.token(3, "c"), agent.result(4))
        await world.state(task.id, "succeeded")
    texts = [data["text"] for _, kind, data in await world.events(task.id) if kind == "task.token"]
    assert texts == ["a", "b", "c"]


async def test_a_run_goes_on_under_the_same_epoch_after_a_reconnect(
    world: Any, plane: Any, wire: Any
) -> None:
    async with wire(plane) as agent:
        await agent.connect()
        task = await world.submit("echo", 1)
        assigned = await agent.assigned()
        await agent.say(assigned, agent.token(1, "a"))
        await agent.acked()
        await agent.disconnect()
        welcome = await agent.connect((assigned.task_id, assigned.epoch))
        assert [item.epoch for item in welcome.resumed] == [assigned.epoch]
        await agent.say(assigned, agent.result(2))
        done = await world.state(task.id, "succeeded")
    assert (done.epoch, done.attempt) == (2, 1)


async def test_a_result_sent_again_after_a_lost_acknowledgement_changes_nothing(
    world: Any, plane: Any, wire: Any
) -> None:
    async with wire(plane) as agent:
        await agent.connect()
        task = await world.submit("echo", 1)
        assigned = await agent.assigned()
        await agent.say(assigned, agent.result(1, "first"))
        await world.state(task.id, "succeeded")
        await agent.disconnect()
        welcome = await agent.connect((assigned.task_id, assigned.epoch))
        assert list(welcome.resumed) == []
        await agent.say(assigned, agent.result(1, "second"))
        await agent.next(pb.TASK_TYPE_REVOKE)
    assert (await world.task(task.id)).result == "first"


async def test_an_agent_that_comes_back_without_its_task_loses_it_at_once(
    world: Any, plane: Any, wire: Any
) -> None:
    async with wire(plane) as agent:
        await agent.connect()
        task = await world.submit("echo", 1)
        await agent.assigned()
        await agent.disconnect()
        agent.instance_id = "instance-2"
        await agent.connect()
        again = await agent.assigned(seconds=2)
        assert (again.task_id, again.epoch) == (str(task.id), 4)
        await agent.say(again, agent.result(1))
        await world.state(task.id, "succeeded")


async def test_a_result_under_an_old_epoch_is_refused_and_audited(
    world: Any, plane: Any, wire: Any
) -> None:
    async with wire(plane) as agent:
        await agent.connect()
        task = await world.submit("echo", 1)
        old = await agent.assigned()
        await agent.disconnect()
        agent.instance_id = "instance-2"
        await agent.connect()
        new = await agent.assigned(seconds=3)
        await agent.say(old, agent.result(1, "late"))
        revoked = await agent.next(pb.TASK_TYPE_REVOKE)
        assert revoked.epoch == old.epoch
        await agent.say(new, agent.result(1, "right"))
        done = await world.state(task.id, "succeeded")
    assert done.result == "right"
    async with world.database.transaction() as tx:
        actions = await tx.fetch("SELECT action FROM audit_log WHERE target_id = $1", str(task.id))
    assert [row["action"] for row in actions] == ["task.stale_write_refused"]


async def test_an_agent_cannot_end_the_task_of_another(world: Any, plane: Any, wire: Any) -> None:
    async with wire(plane) as victim, wire(plane, name="thief", capabilities=("other",)) as thief:
        await victim.connect()
        await thief.connect()
        task = await world.submit("echo", 1)
        assigned = await victim.assigned()
        await thief.say(assigned, thief.result(1, "stolen"))
        await thief.next(pb.TASK_TYPE_REVOKE)
        await victim.say(assigned, victim.result(1, "own"))
        done = await world.state(task.id, "succeeded")
    assert done.result == "own"


@pytest.mark.parametrize(
    "message",
    [
        pb.TaskMessage(type=pb.TASK_TYPE_HELLO),
        pb.TaskMessage(type=pb.TASK_TYPE_EVENTS, task_id="no id"),
        pb.TaskMessage(type=pb.TASK_TYPE_EVENTS, task_id=str(uuid.UUID(int=1))),
    ],
)
async def test_a_malformed_message_harms_only_its_own_stream(
    world: Any, plane: Any, wire: Any, message: pb.TaskMessage
) -> None:
    message.payload.value = b"\xff\xff\xff"
    message.payload.type_url = "type.googleapis.com/ai_orchestra.v2.TaskEvents"
    async with wire(plane) as bad, wire(plane, name="good") as good:
        await bad.connect()
        await good.connect()
        await bad.outbox.put(message)
        error = await bad.ended()
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        task = await world.submit("echo", 1)
        await good.say(await good.assigned(), good.result(1))
        await world.state(task.id, "succeeded")


async def test_a_result_too_large_to_keep_fails_the_task_in_words(
    world: Any, plane: Any, wire: Any
) -> None:
    async with wire(plane) as agent:
        await agent.connect()
        task = await world.submit("echo", 1)
        assigned = await agent.assigned()
        await agent.say(assigned, agent.result(1, "x" * (world.settings.max_task_result_bytes + 1)))
        failed = await world.state(task.id, "failed")
    assert failed.error.code == "result_too_large"


async def test_whatever_an_agent_says_its_run_comes_to_an_end(
    world: Any, plane: Any, wire: Any
) -> None:
    async with wire(plane, slots=20) as agent:
        await agent.connect()
        tasks = [await world.submit("echo", number) for number in range(10)]
        for _ in tasks:
            assigned = await agent.assigned()
            await agent.say(assigned, agent.token(1, "a\0b"), agent.result(2, "c\0d"))
        for task in tasks:
            done = await world.state(task.id, "succeeded")
            assert done.result == "c\ufffdd"


async def test_what_is_shown_beside_the_text_is_cut(world: Any, plane: Any, wire: Any) -> None:
    async with wire(plane) as agent:
        await agent.connect()
        task = await world.submit("echo", 1)
        assigned = await agent.assigned()
        line = pb.LogLine(level="l" * 99, message="m" * 20_000)
        line.fields.update({"large": "x" * 300_000})
        said = pb.Progress(fraction=0.5, message="p" * 20_000)
        await agent.say(
            assigned,
            pb.AgentEvent(sequence=1, log=line),
            pb.AgentEvent(sequence=2, progress=said),
            agent.result(3),
        )
        told = {kind: fact for _, kind, fact in await world.settled_events(task.id)}
    assert told["task.log"] == {"level": "l" * 20, "message": "m" * 16_384, "fields": {}}
    assert told["task.progress"] == {"fraction": 0.5, "message": "p" * 16_384}


async def test_an_event_too_large_to_be_told_ends_the_stream_with_words(
    world: Any, plane: Any, wire: Any
) -> None:
    async with wire(plane) as agent:
        await agent.connect()
        await world.submit("echo", 1)
        assigned = await agent.assigned()
        await agent.say(assigned, agent.token(1, "\1" * (1024 * 1024)))
        error = await agent.ended()
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "send several" in error.details()


async def test_the_text_so_far_is_kept_up_to_its_bound(world: Any, plane: Any, wire: Any) -> None:
    async with wire(plane) as agent:
        await agent.connect()
        await world.submit("echo", 1)
        assigned = await agent.assigned()
        for sequence in (1, 2):
            await agent.say(assigned, agent.token(sequence, "x" * 1_000_000))
            while (await agent.acked()).sequence < sequence:
                pass
        (run,) = plane.it.plane.runs.values()
        assert len(run.text) == 1024 * 1024
