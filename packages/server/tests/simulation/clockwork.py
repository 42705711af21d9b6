"""Simulated time, and processes that live in it: they crash, sleep and start again."""

import heapq
from collections.abc import Callable
from random import Random

Action = Callable[[], None]
# How long things take, in seconds; the ends of the range are chosen to overtake each other.
FASTEST, SLOWEST = 0.001, 0.3
OFTEN_FAST = 0.8  # of all messages; the others take up to SLOWEST


class Clockwork:
    """What happens next, in order of simulated time. One seed is one course of events."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)  # noqa: S311 - a seed shall repeat the course
        self.now = 0.0
        self.steps = 0
        self._due: list[tuple[float, int, Action]] = []
        self._count = 0

    def at(self, delay: float, action: Action) -> None:
        """Does something in `delay` seconds; what was asked for first happens first."""
        self.at_moment(self.now + delay, action)

    def at_moment(self, moment: float, action: Action) -> None:
        self._count += 1
        heapq.heappush(self._due, (moment, self._count, action))

    def run(self, until: float, *, after_each: Action, is_over: Callable[[], bool]) -> None:
        while self._due and self._due[0][0] <= until and not is_over():
            self.now, _, action = heapq.heappop(self._due)
            self.steps += 1
            action()
            after_each()

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def delay(self) -> float:
        """How long a message or a query is on its way."""
        longest = FASTEST * 10 if self.chance(OFTEN_FAST) else SLOWEST
        return FASTEST + (longest - FASTEST) * self.random.random()


class Process:
    """Something that crashes: what it had in mind is gone, and what it meant to do never is."""

    def __init__(self, clockwork: Clockwork) -> None:
        self.clockwork = clockwork
        self.is_alive = True
        self._incarnation = 0
        self._asleep_until = 0.0
        self._missed: list[Action] = []

    def mine(self, action: Action) -> Action:
        """Does it unless the process has died by then; one that sleeps does it when it wakes."""
        born = self._incarnation

        def act() -> None:
            if self._incarnation != born:
                return
            if self._missed or self._asleep_until > self.clockwork.now:
                self._missed.append(act)  # in the order in which it came
                return
            action()

        return act

    def later(self, delay: float, action: Action) -> None:
        """Does it in `delay` seconds, if it still lives."""
        self.clockwork.at(delay, self.mine(action))

    def every(self, seconds: float, action: Action) -> None:
        """Again and again, until it dies."""

        def tick() -> None:
            action()
            self.later(seconds, tick)

        self.later(seconds * self.clockwork.random.random(), tick)

    def crash(self) -> None:
        self.is_alive = False
        self._incarnation += 1
        self._asleep_until = 0.0
        self._missed.clear()

    def sleep(self, seconds: float) -> None:
        """Stopped by the machine: it keeps everything and notices nothing."""
        self._asleep_until = max(self._asleep_until, self.clockwork.now + seconds)
        self.clockwork.at_moment(self._asleep_until, self._wake)

    def _wake(self) -> None:
        if self._asleep_until <= self.clockwork.now:
            missed, self._missed = self._missed, []
            for action in missed:
                action()

    def restart(self) -> None:
        """Subclasses begin anew here."""
        self.is_alive = True


class Stream:
    """One connection of an agent: ordered both ways, and what is under way is lost at its end."""

    def __init__(self, clockwork: Clockwork) -> None:
        self.clockwork = clockwork
        self.is_open = True
        self._arrival = {"up": 0.0, "down": 0.0}
        self._at_end: list[tuple[Process, Action]] = []

    def send(self, way: str, to: Process, action: Action) -> None:
        if not self.is_open:
            return
        self._arrival[way] = max(self._arrival[way], self.clockwork.now + self.clockwork.delay())

        def arrive() -> None:
            if self.is_open:
                to.later(0.0, lambda: action() if self.is_open else None)

        self.clockwork.at_moment(self._arrival[way], arrive)

    def when_it_ends(self, process: Process, action: Action) -> None:
        self._at_end.append((process, action))

    def end(self) -> None:
        """Each side hears of it after a while of its own."""
        if not self.is_open:
            return
        self.is_open = False
        for process, action in self._at_end:
            if process.is_alive:
                process.later(self.clockwork.delay(), action)
