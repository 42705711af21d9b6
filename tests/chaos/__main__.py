"""`python -m chaos [FAULT…]`: runs faults and ends with 1 if a promise was broken."""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from chaos.faults import ALL, Fault
from chaos.runner import Outcome, Runner, say
from chaos.stage import Size

SHOWN_VIOLATIONS = 10
# Of those that CI runs: a third less load, so that ten of them fit into two minutes.
SHORT = Size(submits=100)


def main(arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    if options.list:
        for fault in ALL.values():
            lacks = f" (not here: {fault.lacks()})" if fault.lacks() else ""
            say(f"{fault.name:22} {'short' if fault.is_short else '':5}  {fault.about}{lacks}")
        return 0
    chosen = _chosen(options.names, short=options.short)
    directory = Path(tempfile.mkdtemp(prefix="chaos-"))
    outcomes = _run(chosen, directory, first_seed=options.seed, times=options.times)
    failed = [outcome for outcome in outcomes if outcome.violations]
    if not failed and not options.keep:
        shutil.rmtree(directory, ignore_errors=True)
    else:
        say(f"what the runs left behind is in {directory}")
    say(_closing_line(outcomes, failed))
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="FAULT", help="see --list; without: all")
    parser.add_argument("--seed", type=int, default=1, help="of the first run of each fault")
    parser.add_argument("--times", type=int, default=1, help="runs of each fault, a seed each")
    parser.add_argument("--short", action="store_true", help="only those that CI runs")
    parser.add_argument("--list", action="store_true", help="the faults there are")
    parser.add_argument("--keep", action="store_true", help="keep what the runs leave behind")
    return parser


def _chosen(names: Sequence[str], *, short: bool) -> list[Fault]:
    if unknown := sorted(set(names) - set(ALL)):
        raise SystemExit(f"there is no fault {', '.join(unknown)}; --list shows them")
    wanted = [ALL[name] for name in names] if names else list(ALL.values())
    for fault in wanted:
        if lacks := fault.lacks():
            say(f"skip {fault.name:22} {lacks}")
    wanted = [fault for fault in wanted if not fault.lacks()]
    # Those that need a product of their own come last: the others share one.
    wanted.sort(key=lambda fault: (fault.own_product, sorted(fault.settings.items())))
    return [replace(fault, size=SHORT) for fault in wanted if fault.is_short] if short else wanted


def _run(faults: Sequence[Fault], directory: Path, *, first_seed: int, times: int) -> list[Outcome]:
    runner = Runner(directory)
    outcomes: list[Outcome] = []
    try:
        for fault in faults:
            for seed in range(first_seed, first_seed + times):
                outcomes.append(runner.run(fault, seed))
                say(outcomes[-1].line)
                _show(outcomes[-1])
    finally:
        runner.close()
    return outcomes


def _show(outcome: Outcome) -> None:
    for violation in outcome.violations[:SHOWN_VIOLATIONS]:
        say(f"     {violation}")
    if (left := len(outcome.violations) - SHOWN_VIOLATIONS) > 0:
        say(f"     … and {left} more")
    if outcome.violations:
        say(f"     again: make chaos ARGS='{outcome.fault} --seed {outcome.seed}'")


def _closing_line(outcomes: Sequence[Outcome], failed: Sequence[Outcome]) -> str:
    seconds = sum(outcome.seconds for outcome in outcomes)
    if not failed:
        return f"chaos: all {len(outcomes)} runs kept every promise, in {seconds:.0f} s"
    names = ", ".join(f"{outcome.fault} (seed {outcome.seed})" for outcome in failed)
    return f"chaos: FAILED: {names}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
