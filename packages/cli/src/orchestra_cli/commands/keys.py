"""`orchestra keys`: API keys for programs."""

from typing import Annotated, Any

import typer

from orchestra_cli import output
from orchestra_cli.session import Session, application, command, confirm

app = application("Make and revoke API keys.")

COLUMNS = {
    "id": "ID",
    "name": "NAME",
    "prefix": "PREFIX",
    "scopes": "SCOPES",
    "expires_at": "EXPIRES",
    "last_used_at": "LAST USED",
}


@command(app, "list")
def list_keys(session: Session) -> None:
    """List your API keys."""
    session.show_list(session.api.request("GET", "/api/keys")["items"], COLUMNS)


@command(app, "create")
def create(
    session: Session,
    name: Annotated[str, typer.Argument(help="What it is for.")],
    scope: Annotated[
        list[str], typer.Option(help="What it may do, e.g. tasks:write; once for each.")
    ],
    expires_in_days: Annotated[
        int | None, typer.Option("--expires-in", metavar="DAYS", min=1, help="Its life in days.")
    ] = None,
) -> None:
    """Make an API key. It is printed once and cannot be shown again."""
    body: dict[str, Any] = {"name": name, "scopes": scope}
    if expires_in_days is not None:
        body["expires_in_days"] = expires_in_days
    made = session.api.request("POST", "/api/keys", body=body)
    if session.json:
        output.write_json(made)
        return
    output.write(f"{made['key']}\n")
    output.note("Keep it now: it is not shown again.")


@command(app, "revoke")
def revoke(
    session: Session,
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The id of the key.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Revoke an API key; what uses it stops working at once."""
    confirm(f"Revoke the key {key_id}?", yes=yes)
    session.api.request("DELETE", f"/api/keys/{key_id}")
    output.note("revoked")
