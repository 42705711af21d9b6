"""`orchestra migrate`: bring a database to the newest schema."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestra.foundation.settings import Settings


def command(argv: list[str]) -> int:
    """Bring the database to the newest schema."""
    from orchestra.processes import terminal  # noqa: PLC0415 - `orchestra --help` reads this module

    options = terminal.parser(
        "migrate",
        "Bring the database to the newest schema: the one of ORCHESTRA_DATABASE_URL, or of the "
        "instance that runs on this data directory.",
    )
    return terminal.run(_main, options=options, argv=argv)


def _main(settings: "Settings", _arguments: argparse.Namespace) -> int:
    import asyncio  # noqa: PLC0415 - as above

    from orchestra import migrations  # noqa: PLC0415 - as above
    from orchestra.foundation.database import AWAY  # noqa: PLC0415 - as above
    from orchestra.foundation.errors import Unavailable  # noqa: PLC0415 - as above
    from orchestra.processes import record, terminal  # noqa: PLC0415 - as above

    url = record.settings_of_running(settings).database_url
    if not url:
        raise Unavailable(
            "There is no database: set ORCHESTRA_DATABASE_URL, or use `orchestra up`."
        )
    try:
        changed = asyncio.run(migrations.migrate(url))
    except AWAY as error:
        raise Unavailable(f"The database does not answer: {error}") from error
    newest = migrations.newest_revision()
    terminal.say(
        f"The schema is now at {newest}." if changed else f"The schema already was at {newest}."
    )
    return terminal.SUCCESS
