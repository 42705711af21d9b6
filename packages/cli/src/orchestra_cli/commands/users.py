"""`orchestra users`: who may sign in, and as what."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from orchestra_cli import output
from orchestra_cli.errors import MissingError
from orchestra_cli.session import Session, application, command, secret

app = application("Manage the people who may sign in.")

COLUMNS = {
    "id": "ID",
    "username": "USER NAME",
    "display_name": "DISPLAY NAME",
    "role": "ROLE",
    "status": "STATUS",
    "last_login_at": "LAST LOGIN",
}
MAX_USERS = 100_000


class Role(StrEnum):
    ADMIN = "admin"
    MEMBER = "member"
    VIEWER = "viewer"


Who = Annotated[str, typer.Argument(metavar="USERNAME", help="The user's name, or id.")]


@command(app, "list")
def list_users(
    session: Session,
    limit: Annotated[int, typer.Option(min=1, max=MAX_USERS, help="At most so many.")] = 200,
) -> None:
    """List users."""
    session.show_list(list(session.api.pages("/api/users", {}, limit)), COLUMNS)


@command(app, "create")
def create(
    session: Session,
    username: Annotated[str, typer.Argument(help="The name to sign in with.")],
    role: Annotated[Role, typer.Option(help="What the user may do.")] = Role.MEMBER,
    display_name: Annotated[str | None, typer.Option(help="How others see the user.")] = None,
    email: Annotated[str | None, typer.Option(help="Where to reach the user.")] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
) -> None:
    """Create a user, and print the link with which the person chooses a password, once.

    With --password-stdin the password is set here, and there is no link.
    """
    body = {"username": username, "role": role.value, "display_name": display_name, "email": email}
    if password_stdin:
        body["password"] = secret("Password", from_stdin=True)
    given = {name: value for name, value in body.items() if value is not None}
    _show_invited(session, session.api.request("POST", "/api/users", body=given))


@command(app, "link")
def link(session: Session, who: Who) -> None:
    """Print a new one-time link for somebody who lost the first one, or the password."""
    user = _find(session, who)
    _show_invited(session, session.api.request("POST", f"/api/users/{user['id']}/link", body={}))


@command(app, "disable")
def disable(session: Session, who: Who) -> None:
    """Close a user's account; open pages and keys stop working at once."""
    _change(session, who, {"status": "disabled"})


@command(app, "enable")
def enable(session: Session, who: Who) -> None:
    """Open a user's account again."""
    _change(session, who, {"status": "active"})


@command(app, "set-role")
def set_role(
    session: Session, who: Who, role: Annotated[Role, typer.Argument(help="The new role.")]
) -> None:
    """Change what a user may do."""
    _change(session, who, {"role": role.value})


def _change(session: Session, who: str, changes: dict[str, str]) -> None:
    user = _find(session, who)
    _show(session, session.api.request("PATCH", f"/api/users/{user['id']}", body=changes))


def _find(session: Session, who: str) -> dict[str, Any]:
    for user in session.api.pages("/api/users", {}, MAX_USERS):
        if who in (user["username"], user["id"]):
            return user
    raise MissingError(f"There is no user {who}.")


def _show_invited(session: Session, user: dict[str, Any]) -> None:
    token = user.pop("link_token", None)
    if token is None:
        _show(session, user)
        return
    address = f"{session.api.url}/setup#token={token}"
    if session.json:
        output.write_json({**user, "link": address})
        return
    output.write(f"{address}\n")
    output.note(f"{user['username']} opens this link once, within a day.")


def _show(session: Session, user: dict[str, Any]) -> None:
    session.show(user, {"id": "id", "username": "username", "role": "role", "status": "status"})
