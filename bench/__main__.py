"""`python -m bench [NAME…]`: runs the benchmarks beside their peers and writes RESULTS.md.

Without a name all run, which takes some fifteen minutes. With names, or with --smoke, the result is
only printed: RESULTS.md always comes from one complete run.
"""

import argparse
import contextlib
import shlex
import sys
import time
import traceback
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path

from bench import (
    agents,
    balancing,
    dispatch,
    faults,
    feeds,
    first_token,
    fleet_load,
    idle,
    machine,
    overload,
    programs,
    recovery,
    report,
    report_balancing,
    report_faults,
    report_fleet,
    throughput,
)
from bench.peers.celery_redis import CeleryRedis
from bench.peers.dbos_postgres import Dbos
from bench.peers.pgqueuer_postgres import Pgqueuer
from bench.peers.procrastinate_postgres import Procrastinate
from bench.peers.taskiq_nats import TaskiqNats
from bench.peers.temporal_server import Temporal
from bench.product import Product, ProductTasks, temporary_directory
from bench.report import Section
from bench.systems import System

RESULTS = Path(__file__).with_name("RESULTS.md")
BESIDE_PEERS = ("dispatch", "throughput")
ALONE = ("first_token", "idle", "feeds")
FLEET = ("recovery", "overload", "balancing", "agents")
LOADED_FLEET = ("fleet_load",)
BROKEN = ("faults",)
NAMES = (*BESIDE_PEERS, *ALONE, *FLEET, *LOADED_FLEET, *BROKEN)

Benchmarks = Mapping[str, Callable[[], Section]]


def main(arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    chosen = options.names or NAMES
    programs.pin_load()
    with temporary_directory() as name:
        directory = Path(name)
        described = machine.describe(directory)
        sections = _run(directory, chosen, rounds=options.rounds, smoke=options.smoke)
    text = report.document(
        sections,
        command=shlex.join(["python", "-m", "bench", *arguments]),
        day=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        rounds=options.rounds,
        machine=described,
    )
    print(text)
    if not options.names and not options.smoke:
        RESULTS.write_text(text)
    return 1 if any(section.has_failed for section in sections) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(NAMES)}")
    parser.add_argument("--rounds", type=int, default=5, help="how often the systems take turns")
    parser.add_argument(
        "--smoke", action="store_true", help="only see whether it works: few, small"
    )
    return parser


def _run(directory: Path, chosen: Sequence[str], *, rounds: int, smoke: bool) -> list[Section]:
    sections: list[Section] = []
    if set(chosen) & {*BESIDE_PEERS, *ALONE}:
        with _started(directory / "one") as product:
            sections += _beside_peers(product, directory, chosen, rounds=rounds, smoke=smoke)
            sections += _each(chosen, _alone(product, rounds=rounds, smoke=smoke))
    if set(chosen) & set(FLEET):
        # Ten thousand agents and a backlog would be the others' load, so they have their own.
        with _started(directory / "two", ORCHESTRA_HEARTBEAT_SECONDS="5") as product:
            sections += _each(chosen, _fleet(product, directory, rounds=rounds, smoke=smoke))
    if set(chosen) & set(LOADED_FLEET):
        settings = {"ORCHESTRA_HEARTBEAT_SECONDS": "5", "cores": programs.BOTH_CORES}
        with _started(directory / "three", **settings) as product:
            sections += _each(chosen, _loaded_fleet(product, directory, smoke=smoke))
    sections += _each(chosen, _broken(smoke=smoke))
    return sections


def _alone(product: Product, *, rounds: int, smoke: bool) -> Benchmarks:
    return {
        "first_token": lambda: report.first_token(first_token.measure(product, rounds=rounds)),
        # Before the feeds: what five thousand of them leave behind is not idling.
        "idle": lambda: report.idle(idle.measure(product)),
        "feeds": lambda: report.feeds(feeds.measure(product, feeds=500 if smoke else 5_000)),
    }


def _fleet(product: Product, directory: Path, *, rounds: int, smoke: bool) -> Benchmarks:
    batches, tasks, count = (1, 20, 200) if smoke else (5, 100, 10_000)
    return {
        "recovery": lambda: report_fleet.recovery(
            recovery.measure(product, directory, batches=batches)
        ),
        "overload": lambda: report_fleet.overload(
            overload.measure(product, directory, rounds=min(rounds, 3), tasks=tasks)
        ),
        "balancing": lambda: report_balancing.balancing(
            balancing.measure(product, directory, tasks=40 if smoke else 600)
        ),
        "agents": lambda: report_fleet.agents(agents.measure(product, directory, count=count)),
    }


def _loaded_fleet(product: Product, directory: Path, *, smoke: bool) -> Benchmarks:
    count, seconds = (200, 10) if smoke else (10_000, 60)
    return {
        "fleet_load": lambda: report_fleet.fleet_load(
            fleet_load.measure(product, directory, count=count, seconds=seconds)
        ),
    }


def _broken(*, smoke: bool) -> Benchmarks:
    names = ("worker",) if smoke else tuple(faults.FAULTS)
    return {"faults": lambda: report_faults.faults(faults.measure(names))}


def _each(chosen: Sequence[str], benchmarks: Benchmarks) -> Iterator[Section]:
    for name, run in benchmarks.items():
        if name in chosen:
            say(name)
            yield _measured(name, run)


def _measured(name: str, run: Callable[[], Section]) -> Section:
    """One that fails is said so in its place, and does not take the others' figures with it."""
    try:
        return run()
    except (RuntimeError, OSError, TimeoutError) as error:
        traceback.print_exc()
        return report.failed(name, error)


@contextlib.contextmanager
def _started(directory: Path, **settings: str) -> Generator[Product]:
    directory.mkdir(mode=0o711)
    product = Product(directory, **settings)
    say(f"the product started in {product.start():.1f} s")
    try:
        yield product
    finally:
        product.stop()


def _beside_peers(
    product: Product, directory: Path, chosen: Sequence[str], *, rounds: int, smoke: bool
) -> list[Section]:
    """The task systems all run at the same time, idle while it is another's turn."""
    if not set(BESIDE_PEERS) & set(chosen):
        return []
    sections: list[Section] = []
    with contextlib.ExitStack() as stack:
        systems: list[System] = []
        for make in _systems(product, directory):
            systems.append(make())
            stack.callback(systems[-1].stop)
            systems[-1].rest()
        ours = systems[0].name
        if "dispatch" in chosen:
            say("dispatch")
            latencies = dispatch.measure(systems, rounds=rounds)
            promises = {system.name: system.durability for system in systems}
            sections.append(report.dispatch(latencies, promises, ours=ours))
        if "throughput" in chosen:
            say("throughput")
            tasks = 500 if smoke else 2_000
            costs = throughput.measure(systems, rounds=rounds, tasks=tasks, disk=directory)
            sections.append(report.throughput(costs, ours=ours))
    return sections


def _systems(product: Product, directory: Path) -> Sequence[Callable[[], System]]:
    """Ours first."""
    return (
        lambda: ProductTasks(product, directory),
        lambda: CeleryRedis(directory),
        lambda: TaskiqNats(directory),
        lambda: Pgqueuer(directory, batch=100, most=None),
        lambda: Pgqueuer(directory, batch=4, most=8),
        lambda: Procrastinate(directory),
        lambda: Dbos(directory),
        lambda: Temporal(directory),
    )


def say(message: str) -> None:
    print(f"… {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
