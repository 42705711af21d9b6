"""Runs beyond the slots: they begin in order, can be cancelled before, and can be given back."""

from collections.abc import Iterator

from orchestra_protocol import agent_pb2 as pb
from orchestra_sdk import _wire
from orchestra_sdk._backlog import Backlog
from orchestra_sdk._outbox import Outbox, Stream
from orchestra_sdk._run import Run
from orchestra_sdk._table import RunTable

NORMAL, CRITICAL = pb.TASK_PRIORITY_NORMAL, pb.TASK_PRIORITY_CRITICAL


class Agent:
    """An agent without handlers and without a connection."""

    def __init__(self, *, slots: int, takes_returns: bool = True) -> None:
        self.outbox = Outbox()
        self.begun: list[str] = []
        self.backlog = Backlog(slots=slots, lock=self.outbox.lock, begin=self._begin)
        self.table = RunTable(self.outbox, self.backlog.add)
        self.stream: Stream = self.outbox.open(pb.TaskMessage(type=pb.TASK_TYPE_HELLO))
        next(self.stream)
        self.table.resume(pb.Welcome(takes_batches=True, takes_returns=takes_returns))

    def _begin(self, run: Run) -> None:
        self.begun.append(run.task_id)

    def assign(self, name: str, priority: pb.TaskPriority.ValueType = NORMAL) -> None:
        message = _wire.bare(pb.TASK_TYPE_ASSIGN, pb.Assignment(), task_id=name, epoch=2)
        message.priority = priority
        self.table.receive(message)
        self.backlog.fill()

    def run(self, name: str) -> Run:
        return next(run for run in self.table.held() if run.task_id == name)

    def end(self, name: str) -> None:
        run = self.run(name)
        self.outbox.finish(run, pb.AgentEvent(result=pb.Result()))
        self.backlog.leave(run)

    def said(self) -> Iterator[pb.TaskMessage]:
        """What waits for the control plane, one by one."""
        return iter(_wire.messages_in(next(self.stream)))


def test_urgent_runs_begin_first_and_then_the_one_that_came_first() -> None:
    agent = Agent(slots=1)
    agent.assign("first")
    agent.assign("second")
    agent.assign("third")
    agent.assign("urgent", CRITICAL)
    assert agent.begun == ["first"]
    for name in ("first", "urgent", "second"):
        agent.end(name)
    assert agent.begun == ["first", "urgent", "second", "third"]


def test_a_run_that_is_cancelled_before_it_begins_is_over_at_once() -> None:
    agent = Agent(slots=1)
    agent.assign("first")
    agent.assign("second")
    cancel = pb.Cancel(reason="not needed")
    agent.table.receive(_wire.bare(pb.TASK_TYPE_CANCEL, cancel, task_id="second", epoch=2))
    (said,) = agent.said()
    events = _wire.unwrap(said, pb.TaskEvents).events
    assert (said.task_id, events[0].cancelled.reason) == ("second", "not needed")
    agent.end("first")
    assert agent.begun == ["first"]


def test_what_was_given_back_never_begins_and_is_held_until_it_is_revoked() -> None:
    agent = Agent(slots=1)
    agent.assign("first")
    agent.assign("second")
    agent.table.give_back()
    (said,) = agent.said()
    returned = _wire.unwrap(said, pb.Return).runs
    assert [(item.task_id, item.epoch) for item in returned] == [("second", 2)]
    agent.end("first")
    assert agent.begun == ["first"]
    assert {run.task_id for run in agent.table.held()} == {"first", "second"}
    revoke = pb.Revoke(reason="taken back")
    agent.table.receive(_wire.bare(pb.TASK_TYPE_REVOKE, revoke, task_id="second", epoch=2))
    assert [run.task_id for run in agent.table.held()] == ["first"]


def test_nothing_is_given_back_to_a_control_plane_that_does_not_know_how() -> None:
    agent = Agent(slots=1, takes_returns=False)
    agent.assign("first")
    agent.assign("second")
    agent.table.give_back()
    agent.end("first")
    assert agent.begun == ["first", "second"]


def test_the_slot_of_a_run_that_was_revoked_is_free() -> None:
    agent = Agent(slots=1)
    agent.assign("first")
    agent.assign("second")
    first = agent.run("first")
    revoke = pb.Revoke(reason="taken back")
    agent.table.receive(_wire.bare(pb.TASK_TYPE_REVOKE, revoke, task_id="first", epoch=2))
    agent.backlog.leave(first)
    assert agent.begun == ["first", "second"]
