"""`orchestra audit`: who changed what."""

from typing import Annotated

import typer

from orchestra_cli.errors import CliError
from orchestra_cli.session import Session, application, command

app = application("See who changed what.")

COLUMNS = {
    "at": "AT",
    "actor.name": "WHO",
    "action": "DID",
    "target.kind": "TO",
    "target.id": "ID",
    "ip": "FROM",
    "request_id": "REQUEST",
}


@command(app, "list")
def list_entries(
    session: Session,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many.")] = 50,
) -> None:
    """List the audit log, the newest first."""
    session.show_list(list(session.api.pages("/api/audit", {}, limit)), COLUMNS)


@command(app, "verify")
def verify(session: Session) -> None:
    """Check that nobody has changed or removed an entry; names the first bad one."""
    result = session.api.request("GET", "/api/audit/verify")
    session.show(result)
    if not result["intact"]:
        raise CliError(f"Entry {result['first_bad_id']} does not fit to the one before it.")
