"""`python -m bench [NAME…]`: runs the benchmarks beside their peers and writes RESULTS.md.

Without a name all run, which takes some four minutes. With names, or with --smoke, the result is
only printed: RESULTS.md always comes from one complete run.
"""

import argparse
import contextlib
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import dispatch, feeds, first_token, idle, machine, programs, report, throughput
from bench.peers.celery_redis import CeleryRedis
from bench.peers.taskiq_nats import TaskiqNats
from bench.product import Product, ProductTasks, temporary_directory
from bench.report import Section
from bench.systems import System

RESULTS = Path(__file__).with_name("RESULTS.md")
NAMES = ("dispatch", "throughput", "first_token", "feeds", "idle")


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
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(NAMES)}")
    parser.add_argument("--rounds", type=int, default=5, help="how often the systems take turns")
    parser.add_argument(
        "--smoke", action="store_true", help="only see whether it works: few, small"
    )
    return parser


def _run(directory: Path, chosen: Sequence[str], *, rounds: int, smoke: bool) -> list[Section]:
    product = Product(directory)
    say(f"the product started in {product.start():.1f} s")
    try:
        sections = _beside_peers(product, directory, chosen, rounds=rounds, smoke=smoke)
        alone: dict[str, Callable[[], Section]] = {
            "first_token": lambda: report.first_token(first_token.measure(product, rounds=rounds)),
            "feeds": lambda: report.feeds(feeds.measure(product, feeds=500 if smoke else 5_000)),
            "idle": lambda: report.idle(idle.measure(product)),
        }
        for name, run in alone.items():
            if name in chosen:
                say(name)
                sections.append(run())
    finally:
        product.stop()
    return sections


def _beside_peers(
    product: Product, directory: Path, chosen: Sequence[str], *, rounds: int, smoke: bool
) -> list[Section]:
    """The task systems all run at the same time, idle while it is another's turn."""
    if not {"dispatch", "throughput"} & set(chosen):
        return []
    sections: list[Section] = []
    with contextlib.ExitStack() as stack:
        systems: list[System] = []
        for make in (
            lambda: ProductTasks(product, directory),
            lambda: CeleryRedis(directory),
            lambda: TaskiqNats(directory),
        ):
            systems.append(make())
            stack.callback(systems[-1].stop)
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


def say(message: str) -> None:
    print(f"… {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
