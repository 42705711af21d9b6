"""The runs this agent holds, and what the control plane's messages do to them.

Called from the connection's thread; the executor is told through `on_start`. A message under an
epoch that is not the run's is ignored.
"""

from collections import OrderedDict
from collections.abc import Callable

from orchestra_protocol import agent_pb2 as pb

from orchestra_sdk import _wire
from orchestra_sdk._outbox import Outbox
from orchestra_sdk._run import Run

_REMEMBERED = 1000  # finished leases, so that a late duplicate of an assignment does not run again


# Codes of refusals that are no failure of the handler: its run is over, or is to end.
_LOST, _CANCELLING = "stale_epoch", "cancelling"


class RunTable:
    """Runs by task id: executing, or ended and not yet acknowledged for good."""

    def __init__(self, outbox: Outbox, on_start: Callable[[Run], None]) -> None:
        self._outbox = outbox
        self._on_start = on_start
        self._runs: dict[str, Run] = {}
        self._finished: OrderedDict[tuple[str, int], None] = OrderedDict()
        self.on_forget: Callable[[Run], None] = lambda run: None

    def add(self, run: Run) -> None:
        """Hold a run that an earlier process has ended."""
        with self._outbox.lock:
            self._runs[run.task_id] = run

    def held(self) -> list[Run]:
        """Every run that the server may still count as this agent's."""
        with self._outbox.lock:
            return list(self._runs.values())

    def receive(self, message: pb.TaskMessage) -> None:
        """Apply one message of the stream."""
        with self._outbox.lock:
            if message.type == pb.TASK_TYPE_ASSIGN:
                self._assign(message)
                return
            run = self._runs.get(message.task_id)
            if run is None or run.epoch != message.epoch:
                return
            if message.type == pb.TASK_TYPE_EVENTS_ACK:
                self._acknowledge(run, _wire.unwrap(message, pb.EventsAck))
            elif message.type == pb.TASK_TYPE_CANCEL:
                self._cancel(run, _wire.unwrap(message, pb.Cancel).reason)
            elif message.type == pb.TASK_TYPE_REVOKE:
                self._revoke(run, _wire.unwrap(message, pb.Revoke).reason)
            elif message.type == pb.TASK_TYPE_REPLY:
                self._reply(run, _wire.unwrap(message, pb.Reply))
            elif message.type == pb.TASK_TYPE_CREDENTIAL:
                run.run_token = _wire.unwrap(message, pb.Credential).run_token

    def give_back(self) -> None:
        """Offer what has not begun to the control plane, and never begin it."""
        with self._outbox.lock:
            if not self._outbox.takes_returns:
                return
            waiting = [run for run in self._runs.values() if not (run.begun or run.ended)]
            for run in waiting:
                run.returned = True
            if waiting:
                runs = [pb.RunningTask(task_id=run.task_id, epoch=run.epoch) for run in waiting]
                agent_id = self._outbox.agent_id
                returned = pb.Return(runs=runs)
                self._outbox.post(_wire.wrap(pb.TASK_TYPE_RETURN, returned, agent_id=agent_id))

    def resume(self, welcome: pb.Welcome) -> None:
        """Keep the runs that `welcome` names, give up the others."""
        with self._outbox.lock:
            kept = {item.task_id: item for item in welcome.resumed}
            for run in self.held():
                item = kept.get(run.task_id)
                if item is None or item.epoch != run.epoch:
                    if run.ended:
                        self._outbox.tell_stopped(run)
                    self._revoke(run, "the control plane has given the task away")
                else:
                    run.log.acknowledge(item.sequence)
            self._outbox.welcome(
                self.held(),
                takes_batches=welcome.takes_batches,
                takes_returns=welcome.takes_returns,
            )

    def _assign(self, message: pb.TaskMessage) -> None:
        held = self._runs.get(message.task_id)
        if held is not None and held.epoch >= message.epoch:
            return
        if (message.task_id, message.epoch) in self._finished:
            return
        if held is not None:
            self._revoke(held, "a newer lease has begun")
        assignment = _wire.unwrap(message, pb.Assignment)
        run = Run(task_id=message.task_id, epoch=message.epoch, assignment=assignment)
        run.priority = message.priority
        self._runs[run.task_id] = run
        self._on_start(run)

    def _cancel(self, run: Run, reason: str) -> None:
        run.stop(reason)
        if not run.begun:  # nobody has to be waited for
            self._outbox.finish(run, pb.AgentEvent(cancelled=pb.Cancelled(reason=reason)))

    def _acknowledge(self, run: Run, ack: pb.EventsAck) -> None:
        run.log.acknowledge(ack.sequence)
        if not ack.final:
            return
        if not run.ended:  # the server has ended the task without the handler
            run.stop("the task is over", revoked=True)
        self._forget(run)

    def _reply(self, run: Run, reply: pb.Reply) -> None:
        refused = reply.refused
        if refused.code == _LOST:
            self._revoke(run, refused.message)
        elif refused.code == _CANCELLING and run.cancel_reason is None:
            run.stop(refused.message)  # the message that says so is still under way
        else:
            if reply.HasField("suspended"):
                run.suspend()
                self._forget(run)
            run.commands.answer(reply)

    def _revoke(self, run: Run, reason: str) -> None:
        run.stop(reason, revoked=True)
        self._forget(run)

    def _forget(self, run: Run) -> None:
        del self._runs[run.task_id]
        self._finished[run.task_id, run.epoch] = None
        if len(self._finished) > _REMEMBERED:
            self._finished.popitem(last=False)
        self.on_forget(run)
