"""`orchestra audit`: who changed what."""

import json
from typing import Annotated, Any

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
    "details": "DETAILS",
}
MAX_DETAILS = 200


@command(app, "list")
def list_entries(
    session: Session,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many.")] = 50,
) -> None:
    """List the audit log, the newest first."""
    entries = list(session.api.pages("/api/audit", {}, limit))
    if not session.json:
        entries = [entry | {"details": _in_short(entry["details"])} for entry in entries]
    session.show_list(entries, COLUMNS)


@command(app, "verify")
def verify(session: Session) -> None:
    """Check that nobody has changed or removed an entry; names the first bad one."""
    result = session.api.request("GET", "/api/audit/verify")
    session.show(result)
    if not result["intact"]:
        raise CliError(f"Entry {result['first_bad_id']} does not fit to the one before it.")


def _in_short(details: dict[str, Any]) -> str:
    """`name=value, …`; --json has all of it."""
    words = (
        f"{name}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for name, value in details.items()
    )
    text = ", ".join(words)
    return text if len(text) <= MAX_DETAILS else text[: MAX_DETAILS - 1] + "…"
