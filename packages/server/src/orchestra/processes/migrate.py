"""`orchestra migrate`: bring a database to the newest schema."""

import argparse
import asyncio

from orchestra import migrations
from orchestra.foundation.database import AWAY
from orchestra.foundation.errors import Unavailable
from orchestra.foundation.settings import Settings
from orchestra.processes import record, terminal


def command(argv: list[str]) -> int:
    """Bring the database to the newest schema."""
    options = terminal.parser(
        "migrate",
        "Bring the database to the newest schema: the one of ORCHESTRA_DATABASE_URL, or of the "
        "instance that runs on this data directory.",
    )
    return terminal.run(_main, options=options, argv=argv)


def _main(settings: Settings, _arguments: argparse.Namespace) -> int:
    url = record.settings_of_running(settings).database_url
    if not url:
        raise Unavailable(
            "There is no database: set ORCHESTRA_DATABASE_URL, or use `orchestra up`."
        )
    try:
        changed = asyncio.run(migrations.migrate(url))
    except AWAY as error:
        raise Unavailable(f"The database does not answer: {error}") from error
    state = "is now" if changed else "already was"
    terminal.say(f"The schema {state} at {migrations.newest_revision()}.")
    return terminal.SUCCESS
