"""`orchestra doctor`: is this machine able to run an instance, and if not, what to do about it."""

import argparse

from orchestra.foundation.settings import Settings
from orchestra.processes import checks, terminal


def command(argv: list[str]) -> int:
    """Check this machine and say how to mend what is wrong."""
    options = terminal.parser("doctor", "Check this machine and say how to mend what is wrong.")
    terminal.add_ports(options)
    terminal.add_json(options)
    return terminal.run(_main, options=options, argv=argv)


def _main(settings: Settings, arguments: argparse.Namespace) -> int:
    findings = checks.run_all(settings)
    if arguments.json:
        terminal.answer_json([finding.as_json() for finding in findings])
    else:
        for finding in findings:
            terminal.answer(finding.as_text())
    return terminal.SUCCESS if all(finding.good for finding in findings) else terminal.FAILURE
