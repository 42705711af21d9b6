"""A small installation in simulated time, what befalls it, and whether it kept its promises."""

from dataclasses import dataclass

from orchestra.features.tasks.types import HELD, TaskState

from .agent import Agent
from .clockwork import Clockwork, Process
from .control_plane import ControlPlane
from .rows import Rows

TASKS, AGENTS, PLANES = 8, 3, 2
# Faults come in the first part; the rest is ample for what has to happen after the last of them.
TROUBLED_SECONDS, WHOLE_SECONDS = 12.0, 70.0
FAULTS = 12
LONGEST_FAULT_SECONDS = 5.0
# Sleepers are frequent: they wake under a lease that is over, which is where doubling begins.
_CHOICES = ("agent", "plane", "worker", "sleep", "sleep", "sleep", "network", "database")
MAX_ATTEMPTS = 12
BUGS = (
    "stale-write-accepted",
    "lease-keeps-its-epoch",
    "one-lease-for-two",
    "assign-before-welcome",
)


class Worker(Process):
    """The reconciler: looks at the clock of the database, and at nothing else."""

    def __init__(self, clockwork: Clockwork, rows: Rows) -> None:
        super().__init__(clockwork)
        self._rows = rows
        self.restart()

    def restart(self) -> None:
        super().restart()
        self.every(0.5, lambda: self._rows.transact(self, self._rows.overdue, lambda _: None))


class Submitter(Process):
    """Asks again under the same key until it has an answer."""

    def __init__(self, clockwork: Clockwork, rows: Rows) -> None:
        super().__init__(clockwork)
        self._rows = rows
        self.acknowledged: dict[str, set[int]] = {}

    def submit(self, key: str) -> None:
        waits = self.clockwork.chance(0.2)

        def work() -> int:
            return self._rows.submit(key, max_attempts=MAX_ATTEMPTS, waits=waits)

        def answered(outcome: int | Exception) -> None:
            if isinstance(outcome, Exception):
                self.later(0.3, lambda: self.submit(key))
                return
            self.acknowledged.setdefault(key, set()).add(outcome)
            if self.clockwork.chance(0.15):
                self.later(2 * self.clockwork.random.random(), lambda: self._cancel(outcome))

        for _ in range(2 if self.clockwork.chance(0.1) else 1):  # a client that hurries
            self._rows.transact(self, work, answered)

    def _cancel(self, task: int) -> None:
        self._rows.transact(self, lambda: self._rows.cancel(task), lambda _: None)


@dataclass(frozen=True, slots=True)
class Course:
    """How one seed went."""

    seed: int
    steps: int
    refused: int
    violations: tuple[str, ...]


class System:
    """Everything of one seed."""

    def __init__(self, seed: int, bugs: frozenset[str] = frozenset()) -> None:
        self.seed = seed
        self.clockwork = Clockwork(seed)
        self.rows = Rows(self.clockwork, bugs)
        self.ledger: list[tuple[int, int]] = []
        self.worker = Worker(self.clockwork, self.rows)
        self.planes = [ControlPlane(self.clockwork, self.rows) for _ in range(PLANES)]
        for plane in self.planes:
            plane.others = [other for other in self.planes if other is not plane]
        self.agents = [
            Agent(number, self.clockwork, planes=self.planes, ledger=self.ledger)
            for number in range(AGENTS)
        ]
        self.submitter = Submitter(self.clockwork, self.rows)
        self._known: dict[int, tuple[TaskState, int]] = {}
        self._violations: list[str] = []

    def live(self) -> Course:
        """The whole course, with the checks after each step and at the end."""
        random = self.clockwork.random
        for number in range(TASKS):
            moment = TROUBLED_SECONDS * random.random()
            self.clockwork.at(moment, lambda key=f"key-{number}": self.submitter.submit(key))
        for _ in range(FAULTS):
            self.clockwork.at(TROUBLED_SECONDS * random.random(), self._break_something)
        self.clockwork.run(WHOLE_SECONDS, after_each=self._check_step, is_over=self._is_over)
        self._check_end()
        return Course(self.seed, self.clockwork.steps, self.rows.refused, tuple(self._violations))

    def _is_over(self) -> bool:
        """Nothing more befalls it, and nothing is left to do."""
        return (
            self.clockwork.now > TROUBLED_SECONDS + LONGEST_FAULT_SECONDS
            and len(self.submitter.acknowledged) == TASKS
            and all(row.life.is_over for row in self.rows.tasks.values())
        )

    def _break_something(self) -> None:
        random = self.clockwork.random
        seconds = LONGEST_FAULT_SECONDS * random.random()
        match random.choice(_CHOICES):
            case "agent":
                self._crash(random.choice(self.agents), seconds)
            case "plane":
                self._crash(random.choice(self.planes), seconds)
            case "worker":
                self._crash(self.worker, seconds)
            case "sleep":
                random.choice([*self.agents, *self.planes, self.worker]).sleep(seconds)
            case "network":
                random.choice(self.agents).cut_off()
            case _:
                self.rows.away_until = max(self.rows.away_until, self.clockwork.now + seconds / 2)

    def _crash(self, process: Process, seconds: float) -> None:
        if process.is_alive:
            process.crash()
            self.clockwork.at(seconds, process.restart)

    # ---- promises -----------------------------------------------------------------------------

    def _check_step(self) -> None:
        """What may never happen, at no moment: it looks only at rows that have changed."""
        for row in self.rows.tasks.values():
            now = row.life.state, row.life.epoch
            before = self._known.get(row.id)
            if before == now:
                continue
            self._known[row.id] = now
            if before is None:
                continue
            if before[0].value in ("succeeded", "failed", "cancelled"):
                self._violate(f"task {row.id} was {before[0]} and is {now[0]}")
            if now[1] < before[1]:
                self._violate(f"task {row.id}: epoch {before[1]} became {now[1]}")
            if now[0] in HELD and row.agent is None and now[0] is TaskState.RUNNING:
                self._violate(f"task {row.id} runs at nobody's")

    def _check_end(self) -> None:
        for key, tasks in self.submitter.acknowledged.items():
            if len(tasks) != 1:
                self._violate(f"{key} was acknowledged as tasks {sorted(tasks)}")
        if len(self.submitter.acknowledged) != TASKS:
            self._violate("a submit was never acknowledged")
        effects: dict[tuple[int, int], int] = {}
        for lease in self.ledger:
            effects[lease] = effects.get(lease, 0) + 1
        for row in self.rows.tasks.values():
            self._check_task(row.id, effects)

    def _check_task(self, task: int, effects: dict[tuple[int, int], int]) -> None:
        row = self.rows.tasks[task]
        epochs = [epoch for epoch, _ in row.leases]
        if not row.life.is_over:
            self._violate(f"task {task} never ended: it is {row.life.state}")
        if len(set(epochs)) != len(epochs):
            self._violate(f"task {task}: two leases have one epoch: {epochs}")
        if row.life.state is TaskState.SUCCEEDED:
            if row.result_epoch != epochs[-1]:
                self._violate(f"task {task} has the result of {row.result_epoch}, leases {epochs}")
            if effects.get((task, row.result_epoch or 0)) != 1:
                self._violate(f"task {task} succeeded without its effect")
        if row.life.state is TaskState.FAILED and row.life.attempt < row.life.max_attempts:
            self._violate(f"task {task} failed with attempts left")
        if row.life.state is TaskState.CANCELLED and row.cancelled_at is None:
            self._violate(f"task {task} is cancelled, and nobody has cancelled it")
        for (owner, epoch), count in effects.items():
            if owner == task and (count > 1 or epoch not in epochs):
                self._violate(f"task {task} took effect {count} times under epoch {epoch}")

    def _violate(self, text: str) -> None:
        self._violations.append(f"{self.clockwork.now:.3f} s: {text}")
