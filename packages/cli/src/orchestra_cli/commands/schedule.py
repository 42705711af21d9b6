"""`orchestra schedule`: tasks that submit themselves."""

import uuid
from enum import StrEnum
from typing import Annotated, Any

import typer

from orchestra_cli import ids, output
from orchestra_cli.errors import MissingError, UsageError
from orchestra_cli.inputs import read_json, read_object
from orchestra_cli.session import Session, application, command, confirm

app = application("Submit tasks at a time, or again and again.")

MOST = 100_000
COLUMNS = {
    "id": "ID",
    "name": "NAME",
    "cron": "CRON",
    "timezone": "TIME ZONE",
    "template.capability": "CAPABILITY",
    "next_at": "NEXT",
    "last_at": "LAST",
    "paused_at": "PAUSED",
}
Which = Annotated[str, typer.Argument(metavar="SCHEDULE", help="Its name or its id.")]


class Overlap(StrEnum):
    SKIP = "skip"
    QUEUE = "queue"
    CANCEL_PREVIOUS = "cancel_previous"


class CatchUp(StrEnum):
    NONE = "none"
    ONE = "one"
    ALL = "all"


@command(app, "create")
def create(
    session: Session,
    name: Annotated[str, typer.Argument(help="What to call it.")],
    capability: Annotated[str, typer.Argument(help="What an agent must be able to do.")],
    cron: Annotated[
        str | None, typer.Option(metavar="CRON", help='When, e.g. "30 6 * * MON-FRI".')
    ] = None,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="Once, e.g. 2027-01-01T09:00:00+01:00.")
    ] = None,
    timezone: Annotated[
        str, typer.Option(metavar="ZONE", help="Of the cron expression, e.g. Europe/Berlin.")
    ] = "UTC",
    task_input: Annotated[
        str,
        typer.Option(
            "--input", metavar="JSON", help="The input; `@file` and `-` (stdin) work too."
        ),
    ] = "null",
    task: Annotated[
        str | None,
        typer.Option(metavar="JSON", help="More of the task, as the API takes it, e.g. a retry."),
    ] = None,
    overlap: Annotated[
        Overlap, typer.Option(help="When the task before is not over yet.")
    ] = Overlap.SKIP,
    catch_up: Annotated[
        CatchUp, typer.Option(help="How many of the times missed in an outage to make up for.")
    ] = CatchUp.ONE,
) -> None:
    """Make a schedule, by a cron expression or for one time."""
    if (cron is None) == (at is None):
        raise UsageError("Say --cron for a repeated task, or --at for one.")
    more = read_object(task) if task else {}
    template = {"capability": capability, "input": read_json(task_input), **more}
    body: dict[str, Any] = {"name": name, "template": template, "timezone": timezone}
    body |= {"overlap": overlap.value, "catch_up": catch_up.value}
    body |= {"cron": cron} if cron else {"at": at}
    session.show(session.api.request("POST", "/api/schedules", body=body))


@command(app, "list")
def list_schedules(
    session: Session,
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="At most so many.")] = 50,
) -> None:
    """List schedules, the newest first."""
    session.show_list(list(session.api.pages("/api/schedules", {}, limit)), COLUMNS)


@command(app, "get")
def get(session: Session, which: Which) -> None:
    """Show a schedule and its next times."""
    session.show(session.api.request("GET", _path(session, which)))


@command(app, "pause")
def pause(session: Session, which: Which) -> None:
    """Stop it until it is resumed."""
    session.show(session.api.request("PATCH", _path(session, which), body={"paused": True}))


@command(app, "resume")
def resume(session: Session, which: Which) -> None:
    """Let it go on from its next time; times that passed are gone."""
    session.show(session.api.request("PATCH", _path(session, which), body={"paused": False}))


@command(app, "run")
def run(session: Session, which: Which) -> None:
    """Submit its task now, and print the task's id."""
    path = f"{_path(session, which)}/run"
    made = session.api.request("POST", path, idempotency_key=ids.new_key())
    if session.json:
        output.write_json(made)
    else:
        output.write(f"{made['task_id']}\n")


@command(app, "delete")
def delete(
    session: Session,
    which: Which,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove a schedule; its tasks stay."""
    path = _path(session, which)
    confirm(f"Remove the schedule {which}?", yes=yes)
    session.api.request("DELETE", path)
    output.note("removed")


def _path(session: Session, which: str) -> str:
    try:
        return f"/api/schedules/{uuid.UUID(which)}"
    except ValueError:
        pass
    for schedule in session.api.pages("/api/schedules", {}, MOST):
        if schedule["name"] == which:
            return f"/api/schedules/{schedule['id']}"
    raise MissingError(f"There is no schedule {which}.")
