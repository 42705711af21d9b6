"""`orchestra audit`: who changed what."""

from typing import Annotated

import typer

from orchestra_cli.session import Session, application, command

app = application("See who changed what.")

COLUMNS = {
    "at": "AT",
    "actor": "WHO",
    "action": "DID",
    "target": "TO",
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
