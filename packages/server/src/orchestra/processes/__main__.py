"""`python -m orchestra.processes <command>`: what the supervisor starts, without the terminal
program.
"""

import importlib
import sys


def main(arguments: list[str]) -> int:
    name, *rest = arguments
    module = importlib.import_module(f"orchestra.processes.{name.replace('-', '_')}")
    return int(module.command(rest))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
