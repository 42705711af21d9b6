"""`python -m orchestra.processes [--on-eof] <command>`: what the supervisor starts.

With `--on-eof` the command's imports are done at once, and it runs when standard input ends: so a
process is nearly there by the time that its engines are.
"""

import importlib
import sys

from orchestra.processes.lean import import_lean

WAIT = "--on-eof"


def main(arguments: list[str]) -> int:
    waits = arguments[0] == WAIT
    name, *rest = arguments[1:] if waits else arguments
    import_lean()
    module = importlib.import_module(f"orchestra.processes.{name.replace('-', '_')}")
    if waits:
        sys.stdin.buffer.read()
    return int(module.command(rest))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
