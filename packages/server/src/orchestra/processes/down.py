"""`orchestra down`: stop the instance of this data directory."""

import argparse

from orchestra.foundation.settings import Settings
from orchestra.processes import leftovers, record, terminal

# The slowest chain: assistant, gateway, api and PostgreSQL, each with its own limit.
STOP_SECONDS = 60.0


def command(argv: list[str]) -> int:
    """Stop AI Orchestra on this machine."""
    options = terminal.parser("down", "Stop AI Orchestra on this machine.")
    return terminal.run(_main, options=options, argv=argv)


def _main(settings: Settings, _arguments: argparse.Namespace) -> int:
    former = record.read(settings)
    if not former.is_running:
        leftovers.end(former)
        terminal.say(f"AI Orchestra does not run on {settings.data_dir}.")
        return terminal.NOT_RUNNING
    if not leftovers.stop(former.supervisor, seconds=STOP_SECONDS):
        terminal.say(
            f"error: it did not stop in {STOP_SECONDS:.0f} s; "
            f"end process {former.supervisor.pid} yourself."
        )
        return terminal.FAILURE
    terminal.say("AI Orchestra has stopped.")
    return terminal.SUCCESS
