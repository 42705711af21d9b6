"""What several runs say at the same time goes to the server as one message."""

import pytest
from orchestra_protocol import agent_pb2 as pb
from orchestra_sdk import _wire
from orchestra_sdk._outbox import Outbox, Stream
from orchestra_sdk._run import Run


def test_what_is_due_of_several_runs_is_one_message() -> None:
    outbox, stream = _welcomed(takes_batches=True)
    for number in range(3):
        outbox.finish(_run(number), _result())

    message = next(stream)
    assert message.type == pb.TASK_TYPE_BATCH
    assert message.agent_id == "agent-1"
    assert message.HasField("timestamp")
    inside = list(_wire.messages_in(message))
    assert [each.task_id for each in inside] == ["task-0", "task-1", "task-2"]
    assert {each.type for each in inside} == {pb.TASK_TYPE_EVENTS}


def test_a_server_that_does_not_take_batches_gets_each_alone() -> None:
    outbox, stream = _welcomed(takes_batches=False)
    for number in range(2):
        outbox.finish(_run(number), _result())

    for number in range(2):
        message = next(stream)
        assert (message.type, message.task_id) == (pb.TASK_TYPE_EVENTS, f"task-{number}")
        assert message.agent_id == "agent-1"


@pytest.mark.parametrize("large_at", [0, 1, 2])
def test_a_large_message_goes_alone_and_keeps_its_place(large_at: int) -> None:
    outbox, stream = _welcomed(takes_batches=True)
    for number in range(3):
        text = "x" * 100_000 if number == large_at else "x"
        outbox.finish(_run(number), _result(text))

    seen: list[str] = []
    while len(seen) < 3:
        message = next(stream)
        assert message.agent_id == "agent-1"
        seen += [each.task_id for each in _wire.messages_in(message)]
    assert seen == ["task-0", "task-1", "task-2"]


def _welcomed(*, takes_batches: bool) -> tuple[Outbox, Stream]:
    outbox = Outbox()
    outbox.agent_id = "agent-1"
    stream = outbox.open(pb.TaskMessage(type=pb.TASK_TYPE_HELLO))
    assert next(stream).type == pb.TASK_TYPE_HELLO
    outbox.welcome([], takes_batches=takes_batches)
    return outbox, stream


def _run(number: int) -> Run:
    return Run(task_id=f"task-{number}", epoch=1, assignment=pb.Assignment())


def _result(text: str = "done") -> pb.AgentEvent:
    return pb.AgentEvent(failure=pb.Failure(message=text))
