"""`orchestra queue`: what waits where, pauses, limits, and the weights of users."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from orchestra_cli import output
from orchestra_cli.errors import MissingError, UsageError
from orchestra_cli.inputs import an_id
from orchestra_cli.session import Session, application, command

app = application("See queues; pause, bound and limit them; weigh users.")

COLUMNS = {
    "name": "QUEUE",
    "waiting": "WAITING",
    "delayed": "DELAYED",
    "limited": "LIMITED",
    "running": "RUNNING",
    "paused_by": "PAUSED BY",
    "max_queued": "BOUND",
}
LIMIT_COLUMNS = {
    "id": "ID",
    "scope": "SCOPE",
    "queue": "QUEUE",
    "user_id": "USER",
    "key_pointer": "KEY",
    "max_running": "AT A TIME",
    "rate": "RATE",
    "per_seconds": "PER SECONDS",
}
MOST = 100_000
DEFAULT = "default"
Name = Annotated[str, typer.Argument(metavar="QUEUE", help="A capability, or an agent's id.")]


class Balancing(StrEnum):
    LEAST_BUSY = "least_busy"
    LATENCY = "latency"
    RESOURCES = "resources"
    AFFINITY = "affinity"
    ROUND_ROBIN = "round_robin"
    DEFAULT = "default"


@command(app, "list")
def list_queues(
    session: Session,
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="At most so many.")] = 200,
) -> None:
    """List queues with what is in them."""
    session.show_list(list(session.api.pages("/api/queues", {}, limit)), COLUMNS)


@command(app, "get")
def get(session: Session, name: Name) -> None:
    """Show a queue: what is in it, and what was set for it."""
    session.show(session.api.request("GET", f"/api/queues/{name}"))


@command(app, "pause")
def pause(session: Session, name: Name) -> None:
    """Start nothing of a queue from now on; what runs goes on."""
    session.show(session.api.request("POST", f"/api/queues/{name}/pause"), COLUMNS)


@command(app, "resume")
def resume(session: Session, name: Name) -> None:
    """Start tasks of a queue again."""
    session.show(session.api.request("POST", f"/api/queues/{name}/resume"), COLUMNS)


@command(app, "set")
def change(
    session: Session,
    name: Name,
    max_queued: Annotated[
        str | None, typer.Option(metavar="N", help="So many may wait; `default` sets it back.")
    ] = None,
    balancing: Annotated[
        Balancing | None, typer.Option(help="How its agents are chosen among.")
    ] = None,
    keep_days: Annotated[
        str | None, typer.Option(metavar="DAYS", help="How long what is over is kept.")
    ] = None,
    keep_count: Annotated[
        str | None, typer.Option(metavar="N", help="How many of what is over are kept.")
    ] = None,
) -> None:
    """Change a queue's bound, balancing or retention."""
    given = {
        "max_queued": _number(max_queued, int),
        "balancing": DEFAULT if balancing is Balancing.DEFAULT else balancing,
        "keep_days": _number(keep_days, float),
        "keep_count": _number(keep_count, int),
    }
    body = {
        name: None if value == DEFAULT else value
        for name, value in given.items()
        if value is not None
    }
    if not body:
        raise UsageError("Say what to change; see --help.")
    session.show(session.api.request("PATCH", f"/api/queues/{name}", body=body))


@command(app, "limit")
def limit(
    session: Session,
    name: Annotated[
        str | None, typer.Argument(metavar="[QUEUE]", help="The queue; without it, all.")
    ] = None,
    max_running: Annotated[
        int | None, typer.Option("--max-running", min=1, help="So many at a time.")
    ] = None,
    rate: Annotated[
        str | None, typer.Option(metavar="N/SECONDS", help="So many starts in so many seconds.")
    ] = None,
    burst: Annotated[
        float | None, typer.Option(min=1, help="So many starts at once after a pause.")
    ] = None,
    user: Annotated[
        str | None, typer.Option(metavar="USERNAME", help="Of one user; `each`: of each.")
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(metavar="POINTER", help="Of inputs with the same value there: /customer/id."),
    ] = None,
) -> None:
    """Limit a queue, a user or a key; without --max-running and --rate, list the limits."""
    if max_running is None and rate is None:
        query = {"queue": name}
        session.show_list(list(session.api.pages("/api/limits", query, MOST)), LIMIT_COLUMNS)
        return
    if user is not None and key is not None:
        raise UsageError("--user and --key are two limits; make them one after the other.")
    body: dict[str, Any] = {"scope": "user" if user else "queue" if key is None else "key"}
    body |= {"queue": name, "max_running": max_running, "key_pointer": key, "burst": burst}
    if user not in (None, "each"):
        body["user_id"] = _user_id(session, str(user))
    if rate is not None:
        body |= _rate(rate)
    given = {key: value for key, value in body.items() if value is not None}
    made = session.api.request("POST", "/api/limits", body=given)
    if session.json:
        output.write_json(made)
    else:
        output.write(f"{made['id']}\n")


@command(app, "unlimit")
def unlimit(
    session: Session,
    limit_id: Annotated[
        str, typer.Argument(metavar="ID", help="The id of the limit.", parser=an_id("a limit's"))
    ],
) -> None:
    """Remove a limit; what it held back goes on."""
    session.api.request("DELETE", f"/api/limits/{limit_id}")


@command(app, "weight")
def weight(
    session: Session,
    username: Annotated[str, typer.Argument(help="The user's name, or id.")],
    share: Annotated[float, typer.Argument(min=0.01, max=1000, help="Against 1 of others.")],
) -> None:
    """Give a user so many turns for each one of a user of weight 1."""
    user_id = _user_id(session, username)
    session.api.request("PUT", f"/api/users/{user_id}/weight", body={"weight": share})


def _user_id(session: Session, username: str) -> str:
    for user in session.api.pages("/api/users", {}, MOST):
        if username in (user["username"], user["id"]):
            return str(user["id"])
    raise MissingError(f"There is no user {username!r}.")


def _number(given: str | None, kind: type[int | float]) -> int | float | str | None:
    if given is None or given == DEFAULT:
        return given
    try:
        return kind(given)
    except ValueError as error:
        raise UsageError(f"{given!r} is no number.") from error


def _rate(given: str) -> dict[str, float]:
    count, slash, seconds = given.partition("/")
    try:
        return {"rate": float(count), "per_seconds": float(seconds) if slash else 1.0}
    except ValueError as error:
        raise UsageError(f"{given!r} is no rate; say 10/60 for ten a minute.") from error
