"""RESULTS.md: each figure with the goal that it is held against, reached or not."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.dispatch import Latency
from bench.feeds import FeedMemory
from bench.first_token import FirstToken
from bench.idle import Idle
from bench.statistic import Rounds, ratio
from bench.throughput import Cost, Throughput

DISPATCH_GOALS = (
    ("Celery + Redis", 0.8),
    ("pgqueuer, batch 100", 0.6),
    ("pgqueuer, 8 in flight", 0.6),
    ("procrastinate", 0.6),
    ("DBOS", 0.2),
    ("Temporal dev server", 0.15),
)
THROUGHPUT_GOALS = (
    ("Celery + Redis", 5.0),
    ("DBOS", 5.0),
    ("Taskiq + NATS", 1.5),
    ("pgqueuer, batch 100", 0.5),
    ("Temporal dev server", 50.0),
)
HEAD = """# Benchmark results

Written by `{command}` on {day}. Every figure is the median of {rounds} rounds with the range in
brackets; systems take turns round by round in one run. How each is measured: [README](README.md).

## Machine

{machine}
"""


@dataclass(frozen=True, slots=True)
class Goal:
    """One line of the table of goals."""

    name: str
    wanted: str
    measured: str
    reached: bool

    def as_row(self) -> str:
        return (
            f"| {self.name} | {self.wanted} | {self.measured} | {'yes' if self.reached else 'no'} |"
        )


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the report: its title, its command, its text and its goals."""

    title: str
    command: str
    lines: Sequence[str]
    goals: Sequence[Goal] = ()
    has_failed: bool = False

    def as_text(self) -> str:
        parts = [f"## {self.title}", f"`python -m bench {self.command}`", "\n".join(self.lines)]
        if self.goals:
            rows = "\n".join(goal.as_row() for goal in self.goals)
            parts.append(f"| goal | wanted | measured | reached |\n|---|---|---|---|\n{rows}")
        return "\n\n".join(parts) + "\n"


def dispatch(results: dict[str, Latency], durability: dict[str, str], *, ours: str) -> Section:
    rows = [
        f"| {name} | {one.p50.text(2)} | {one.p99.text(2)} | {durability[name]} |"
        for name, one in results.items()
    ]
    head = [
        "| system | p50 ms | p99 ms | what is durable when submit returns |",
        "|---|---|---|---|",
    ]
    goals = [
        _times(
            f"submit → agent, p50, beside {name}", results[ours].p50, results[name].p50, most=most
        )
        for name, most in DISPATCH_GOALS
        if name in results
    ]
    return Section("Dispatch latency", "dispatch", head + rows, goals)


def throughput(results: dict[str, Throughput], *, ours: str) -> Section:
    rows = [_throughput_row(name, one) for name, one in results.items()]
    head = [
        "| system | tasks per CPU second | without the submitter | tasks/s | flushes per task |",
        "|---|---|---|---|---|",
    ]
    shares = [f"- {name}: {_cpu_by_part(one)}" for name, one in results.items()]
    goals = [
        _times(
            f"tasks per CPU second, submitter included, beside {name}",
            results[ours].rounds(_per_cpu_second),
            results[name].rounds(_per_cpu_second),
            least=least,
        )
        for name, least in THROUGHPUT_GOALS
        if name in results
    ]
    text = [*head, *rows, "", "CPU for each task, by program, in µs:", "", *shares]
    return Section("Cost of a task", "throughput", text, goals)


def _throughput_row(name: str, one: Throughput) -> str:
    figures = (
        one.rounds(_per_cpu_second).text(0),
        one.rounds(lambda cost: cost.per_cpu_second_of_system).text(0),
        one.rounds(lambda cost: cost.per_second).text(0),
        one.rounds(lambda cost: cost.flushes_per_task).text(3),
    )
    return f"| {name} | {' | '.join(figures)} |"


def _per_cpu_second(cost: Cost) -> float:
    return cost.per_cpu_second


def _cpu_by_part(one: Throughput) -> str:
    return ", ".join(f"{name} {used:,.0f}" for name, used in one.cpu_by_part().items())


def first_token(result: FirstToken) -> Section:
    lines = [
        "| way | first word after, ms |",
        "|---|---|",
        f"| message posted → first `task.token`, through the gateway | {result.ours.text()} |",
        f"| the model server itself | {result.direct.text()} |",
        f"| added | {result.added.text()} |",
    ]
    return Section("First word of a chat turn", "first_token", lines)


def feeds(result: FeedMemory) -> Section:
    each = {name: result.kib_per_feed(name) for name in result.before}
    rows = [
        f"| {name} | {result.before[name] / 2**20:,.0f} | {result.after[name] / 2**20:,.0f} "
        f"| {each[name]:.1f} |"
        for name in each
    ]
    lines = [
        f"{result.feeds:,} idle feeds through the gateway, each on a connection of its own:",
        "",
        "| program | MiB before | MiB with them | KiB per feed |",
        "|---|---|---|---|",
        *rows,
    ]
    api = each["api"]
    goal = Goal("memory of the api per idle reader", "≤ 12 KiB", f"{api:.1f} KiB", api <= 12)
    return Section("Memory of idle feeds", "feeds", lines, [goal])


def idle(result: Idle) -> Section:
    rows = [f"| {name} | {used:.2f} |" for name, used in sorted(result.by_program.items())]
    lines = [
        "| program | % of a core |",
        "|---|---|",
        *rows,
        f"| **all** | **{result.percent:.2f}** |",
    ]
    start = result.warm_start_seconds
    goals = [
        Goal("idle", "≤ 2 % of a core", f"{result.percent:.2f} %", result.percent <= 2),
        Goal("warm start to ready", "≤ 3 s", f"{start.text(2)} s", start.median <= 3),
    ]
    return Section("Idle, and starting again", "idle", lines, goals)


def failed(name: str, error: Exception) -> Section:
    last = (str(error).splitlines() or [type(error).__name__])[-1]
    return Section(name, name, [f"Could not be measured: {last}"], has_failed=True)


def document(
    sections: Sequence[Section], *, command: str, day: str, rounds: int, machine: Sequence[str]
) -> str:
    head = HEAD.format(
        command=command, day=day, rounds=rounds, machine="\n".join(f"- {line}" for line in machine)
    )
    return "\n".join([head, *(section.as_text() for section in sections)])


def _times(
    name: str,
    ours: Rounds,
    theirs: Rounds,
    *,
    most: float | None = None,
    least: float | None = None,
) -> Goal:
    """A goal as a multiple of a peer's figure of the same rounds."""
    found = ratio(ours, theirs)
    if most is not None:
        return Goal(name, f"≤ {most}×", f"{found.text(2)}×", found.median <= most)
    reached = least is None or found.median >= least
    return Goal(name, f"≥ {least}×", f"{found.text(2)}×", reached)
