"""An agent as a model of the SDK: it keeps a result until it is acknowledged for good."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestra.features.tasks.types import Trigger

from .clockwork import Clockwork, Process, Stream

if TYPE_CHECKING:
    from .control_plane import ControlPlane

SLOTS = 2
BACKLOG = 2  # what it takes beyond them
GIVE_BACK_SECONDS = 1.5
LONGEST_RUN_SECONDS = 2.0
RECONNECT_SECONDS = 1.0


@dataclass(slots=True)
class Held:
    """A run that this agent has. `outcome` once the handler has ended."""

    epoch: int
    waits: bool = False
    has_begun: bool = False
    is_returned: bool = False
    outcome: Trigger | None = None
    is_stopping: bool = False


class Agent(Process):
    """Runs handlers; each that ends well writes into the ledger of effects."""

    def __init__(
        self,
        number: int,
        clockwork: Clockwork,
        *,
        planes: "list[ControlPlane]",
        ledger: list[tuple[int, int]],
    ) -> None:
        super().__init__(clockwork)
        self.number, self._planes, self._ledger = number, planes, ledger
        self.restart()

    def restart(self) -> None:
        super().restart()
        self.held: dict[int, Held] = {}
        self._stream: Stream | None = None
        self._plane: ControlPlane | None = None
        self._finished: set[tuple[int, int]] = set()
        self._is_welcome = False
        self.later(self.clockwork.delay(), self._connect)
        self.every(GIVE_BACK_SECONDS, self._give_back)

    def crash(self) -> None:
        super().crash()
        if self._stream is not None:
            self._stream.end()

    def cut_off(self) -> None:
        """The network between it and its control plane breaks."""
        if self._stream is not None:
            self._stream.end()

    # ---- the stream ---------------------------------------------------------------------------

    def _connect(self) -> None:
        plane = self.clockwork.random.choice(self._planes)
        if not plane.is_alive:
            self.later(RECONNECT_SECONDS * self.clockwork.random.random(), self._connect)
            return
        stream = Stream(self.clockwork)
        self._stream, self._plane, self._is_welcome = stream, plane, False
        plane.accept(stream)
        stream.when_it_ends(self, lambda: self._disconnected(stream))
        running = {task: run.epoch for task, run in self.held.items() if run.has_begun}
        waiting = {task: run.epoch for task, run in self.held.items() if not run.has_begun}
        stream.send("up", plane, lambda: plane.hello(self, stream, running, waiting))

    def _disconnected(self, stream: Stream) -> None:
        if self._stream is stream:
            self._stream, self._is_welcome = None, False
            self.later(RECONNECT_SECONDS * self.clockwork.random.random(), self._connect)

    def welcome(self, stream: Stream, resumed: set[tuple[int, int]]) -> None:
        if self._stream is not stream:
            return
        self._is_welcome = True
        for task, run in list(self.held.items()):
            if (task, run.epoch) not in resumed:
                self._forget(task)
            elif run.outcome is not None:
                self._say(task, run)

    def assign(self, stream: Stream, task: int, epoch: int, *, waits: bool) -> None:
        if self._stream is not stream or not self._is_welcome:
            return  # as the SDK does
        known = self.held.get(task)
        if (known is not None and known.epoch >= epoch) or (task, epoch) in self._finished:
            return
        self.held[task] = Held(epoch, waits)
        self._begin()

    def revoke(self, task: int, epoch: int) -> None:
        run = self.held.get(task)
        if run is not None and run.epoch == epoch:
            self._forget(task)

    acknowledge = revoke  # the end of a run is kept by the server, too

    def stop(self, task: int, epoch: int) -> None:
        run = self.held.get(task)
        if run is not None and run.epoch == epoch:
            run.is_stopping = True
            if not run.has_begun and run.outcome is None and not run.is_returned:
                run.outcome = Trigger.STOPPED
                self._say(task, run)

    # ---- the handler --------------------------------------------------------------------------

    def _begin(self) -> None:
        """In the order in which they came, as many as there are slots."""
        at_work = sum(run.has_begun and run.outcome is None for run in self.held.values())
        for task, run in list(self.held.items()):
            if at_work < SLOTS and not (run.has_begun or run.is_returned or run.outcome):
                at_work += 1
                run.has_begun = True
                seconds = LONGEST_RUN_SECONDS * self.clockwork.random.random()
                self.later(seconds, lambda task=task, run=run: self._done(task, run))

    def _give_back(self) -> None:
        stream, plane = self._stream, self._plane
        if stream is None or plane is None or not self._is_welcome:
            return
        for task, run in self.held.items():
            if not (run.has_begun or run.outcome):
                run.is_returned = True
                epoch = run.epoch
                stream.send("up", plane, lambda t=task, e=epoch: plane.returned(self, stream, t, e))

    def _done(self, task: int, run: Held) -> None:
        if self.held.get(task) is not run:
            return  # the lease was revoked while the handler ran
        run.outcome = self._outcome(run)
        if run.outcome is Trigger.RESULT:
            self._ledger.append((task, run.epoch))
        self._say(task, run)
        self._begin()

    def _outcome(self, run: Held) -> Trigger:
        if run.is_stopping:
            return Trigger.STOPPED
        if run.waits:
            return Trigger.SUSPEND
        return Trigger.RETRY if self.clockwork.chance(0.1) else Trigger.RESULT

    def _say(self, task: int, run: Held) -> None:
        stream, plane, outcome = self._stream, self._plane, run.outcome
        if stream is None or plane is None or outcome is None or not self._is_welcome:
            return
        stream.send("up", plane, lambda: plane.ended(self, stream, task, run.epoch, outcome))

    def _forget(self, task: int) -> None:
        self._finished.add((task, self.held.pop(task).epoch))
        self._begin()
