"""The sections about many agents, overload and killed agents."""

import itertools

from bench.agents import Agents, Held
from bench.fleet_load import OFFERED_PER_SECOND, Critical, FleetLoad, Load
from bench.overload import CRITICAL_PER_SECOND, OVERLOAD, PER_SECOND, Overload
from bench.overload_agent import WORK_SECONDS
from bench.recovery import Recovery
from bench.report import Goal, Section
from bench.statistic import ratio

MOST_BEAT_PERCENT, MOST_MEMORY, MOST_BACK_SECONDS = 5.0, 0.5, 30.0
MOST_OVERLOAD, MOST_RECOVERY_SECONDS = 2.0, 5.0
# What the load falls short by because a second ends within a batch.
MOST_GROWTH, LEAST_TAKEN = 1.1, 0.98 * OFFERED_PER_SECOND


def overload(result: Overload) -> Section:
    lines = [
        f"Critical tasks at {CRITICAL_PER_SECOND:.0f} a second, from submit to done, of which "
        f"{1e3 * WORK_SECONDS:.0f} ms are work; eight slots can do {PER_SECOND:.0f} a second.",
        "",
        "| beside them | p50 ms | p99 ms |",
        "|---|---|---|",
        f"| nothing | {result.alone_p50.text()} | {result.alone_p99.text()} |",
        f"| {OVERLOAD}× as many normal tasks as can be done, {result.normal_submitted:,} in all | "
        f"{result.loaded_p50.text()} | {result.loaded_p99.text()} |",
    ]
    found = ratio(result.loaded_p99, result.alone_p99)
    goal = Goal(
        f"p99 of critical tasks at {OVERLOAD}× overload, beside unloaded",
        f"≤ {MOST_OVERLOAD:g}×",
        f"{found.text(2)}×",
        found.median <= MOST_OVERLOAD,
    )
    return Section("Critical tasks under overload", "overload", lines, [goal])


def agents(result: Agents) -> Section:
    ours, naive = result.ours, result.naive
    lines = [
        f"{result.count:,} agents, each with a connection, a stream and heartbeats: as many as "
        "the server asks for (ours asks so many for fewer), and every 5 s whatever it asks for:",
        "",
        "| server | KiB of memory per agent | heartbeats as asked for, % of a core | every 5 s | "
        "all attached after, s |",
        "|---|---|---|---|---|",
        _held_row("AI Orchestra", ours),
        _held_row("naive grpc.aio", naive),
    ]
    memory = ours.kib_per_agent / naive.kib_per_agent
    back = result.back_seconds
    goals = [
        Goal(
            "memory per agent, beside naive grpc.aio",
            f"≤ {MOST_MEMORY}×",
            f"{memory:.2f}×",
            memory <= MOST_MEMORY,
        ),
        Goal(
            "heartbeats, every 5 s",
            f"≤ {MOST_BEAT_PERCENT:g} % of a core",
            f"{ours.beat_percent:.1f} %",
            ours.beat_percent <= MOST_BEAT_PERCENT,
        ),
        Goal(
            "heartbeats, as many as it asks for",
            f"≤ {MOST_BEAT_PERCENT:g} % of a core",
            f"{ours.asked_percent:.1f} %",
            ours.asked_percent <= MOST_BEAT_PERCENT,
        ),
        Goal(
            "all attached again after kill -9 of the control plane",
            f"≤ {MOST_BACK_SECONDS:g} s",
            f"{back:.1f} s",
            back <= MOST_BACK_SECONDS,
        ),
    ]
    return Section("Many agents", "agents", lines, goals)


def _held_row(name: str, held: Held) -> str:
    programs = ", ".join(
        f"{program} {size / 1024:.1f}" for program, size in held.bytes_by_program.items()
    )
    return (
        f"| {name} | {held.kib_per_agent:.1f} ({programs}) | {held.asked_percent:.1f} | "
        f"{held.beat_percent:.1f} | "
        f"{held.attach_seconds:.1f} |"
    )


def recovery(result: Recovery) -> Section:
    p50, p99 = result.share(0.5), result.share(0.99)
    lines = [
        f"{len(result.seconds)} agents killed (SIGKILL) at work; until the next attempt has begun "
        f"on another: p50 {p50:.2f} s, p99 {p99:.2f} s, longest {max(result.seconds):.2f} s."
    ]
    goal = Goal(
        "task of a killed agent runs elsewhere, p99",
        f"≤ {MOST_RECOVERY_SECONDS:g} s",
        f"{p99:.2f} s",
        p99 <= MOST_RECOVERY_SECONDS,
    )
    return Section("After the death of an agent", "recovery", lines, [goal])


def fleet_load(result: FleetLoad) -> Section:
    last = result.loads[-1]
    lines = [
        f"{result.agents:,} agents connected; normal tasks a second for {last.seconds:.0f} s, the "
        "lesser rates for half of it; critical tasks from due to kept end:",
        "",
        "| normal tasks a second | taken in | done | critical tasks | refused | p50 ms | p99 ms | "
        "p99 beside unloaded |",
        "|---|---|---|---|---|---|---|---|",
        f"| none | | | {_critical_cells(result.alone)} | |",
        *(
            f"| {load.wanted:,} | {load.taken:,.0f} | {load.done:,.0f} | "
            f"{_critical_cells(load.critical)} | {_slower(result, load):.2f}× |"
            for load in result.loads
        ),
        "",
        f"{_most_within(result)} a second is the most beside which p99 of critical tasks stayed "
        f"within {MOST_OVERLOAD:g}×.",
        "",
        "| MiB of memory | before the last load | after a third of it | at its end |",
        "|---|---|---|---|",
        *(
            f"| {name} | {result.memory_before[name] / 2**20:.0f} | "
            f"{result.memory_warm[name] / 2**20:.0f} | {size / 2**20:.0f} |"
            for name, size in result.memory_after.items()
        ),
    ]
    return Section("Many agents at work", "fleet_load", lines, _fleet_load_goals(result, last))


def _critical_cells(one: Critical) -> str:
    return f"{len(one.delays):,} | {one.refused} | {one.share(0.5):.1f} | {one.share(0.99):.1f}"


def _slower(result: FleetLoad, load: Load) -> float:
    """p99 of critical tasks beside a load, as a multiple of that without one."""
    return load.critical.share(0.99) / result.alone.share(0.99)


def _most_within(result: FleetLoad) -> str:
    """The greatest load, of those that rise, up to which all are within the bound."""
    within = itertools.takewhile(
        lambda load: _slower(result, load) <= MOST_OVERLOAD and not load.critical.refused,
        result.loads,
    )
    return f"{max((load.wanted for load in within), default=0):,}"


def _fleet_load_goals(result: FleetLoad, last: Load) -> list[Goal]:
    slower = _slower(result, last)
    return [
        Goal(
            f"tasks taken in a second, of {last.wanted:,}",
            f"≥ {LEAST_TAKEN:,.0f}",
            f"{last.taken:,.0f}",
            last.taken >= LEAST_TAKEN,
        ),
        Goal(
            f"tasks done a second, of {last.wanted:,}",
            f"≥ {LEAST_TAKEN:,.0f}",
            f"{last.done:,.0f}",
            last.done >= LEAST_TAKEN,
        ),
        Goal(
            f"p99 of critical tasks beside {last.wanted:,} a second, beside unloaded",
            f"≤ {MOST_OVERLOAD:g}×",
            f"{slower:.2f}×",
            slower <= MOST_OVERLOAD and not last.critical.refused,
        ),
        Goal(
            "memory at the end, beside a third of the way",
            f"≤ {MOST_GROWTH:g}×",
            f"{result.growth:.2f}×",
            result.growth <= MOST_GROWTH,
        ),
    ]
