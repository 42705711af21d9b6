"""`orchestra workflow`: work that consists of tasks in an order, declared as data."""

from typing import Annotated, Any

import typer

from orchestra_cli import ids, output
from orchestra_cli.commands.task import follow_to_end
from orchestra_cli.inputs import an_id, read_json
from orchestra_cli.session import Session, application, command

app = application("Declare workflows and run them.")

ROOT = "/api/workflows"
COLUMNS = {"name": "NAME", "version": "VERSION", "created_at": "CREATED"}
RUN_COLUMNS = {
    "task_id": "TASK",
    "version": "VERSION",
    "state": "STATE",
    "created_at": "STARTED",
    "finished_at": "FINISHED",
}
Name = Annotated[str, typer.Argument(metavar="NAME", help="The name of the workflow.")]
Limit = Annotated[int, typer.Option(min=1, max=100_000, help="At most so many.")]
Follow = Annotated[bool, typer.Option("--follow", help="Wait for the end, print the result.")]
Version = Annotated[int | None, typer.Option(min=1, help="Not the newest, but this one.")]


@command(app, "apply")
def apply(
    session: Session,
    name: Name,
    spec: Annotated[
        str, typer.Argument(metavar="SPEC", help="JSON; `@file` and `-` (stdin) work too.")
    ],
) -> None:
    """Declare a workflow; one that has changed gets a new version."""
    made = session.api.request("POST", ROOT, body={"name": name, "spec": read_json(spec)})
    session.show(made, {"name": "name", "version": "version"})


@command(app, "list")
def list_workflows(session: Session, limit: Limit = 50) -> None:
    """List your workflows with their newest versions."""
    session.show_list(list(session.api.pages(ROOT, {}, limit)), COLUMNS)


@command(app, "get")
def get(session: Session, name: Name, version: Version = None) -> None:
    """Show a workflow as it is declared."""
    query = {"version": version}
    session.show(session.api.request("GET", f"{ROOT}/{name}", query=query))


@command(app, "runs")
def runs(session: Session, name: Name, limit: Limit = 50) -> None:
    """List the runs of a workflow, the newest first."""
    session.show_list(list(session.api.pages(f"{ROOT}/{name}/runs", {}, limit)), RUN_COLUMNS)


@command(app, "run")
def run(
    session: Session,
    name: Name,
    given: Annotated[
        str,
        typer.Option(
            "--input", metavar="JSON", help="The input; `@file` and `-` (stdin) work too."
        ),
    ] = "null",
    version: Version = None,
    follow: Follow = False,
    idempotency_key: Annotated[
        str | None, typer.Option(metavar="KEY", help="The same key starts the same run once.")
    ] = None,
) -> None:
    """Start a run. Prints the id of its task, or with --follow its result."""
    body: dict[str, Any] = {"input": read_json(given), "version": version}
    key = idempotency_key or ids.new_key()
    started = session.api.request("POST", f"{ROOT}/{name}/runs", body=body, idempotency_key=key)
    _show(session, started, follow=follow)


@command(app, "replay")
def replay(
    session: Session,
    name: Name,
    run_id: Annotated[
        str,
        typer.Argument(
            metavar="RUN", help="The task of a run that has failed.", parser=an_id("a run's")
        ),
    ],
    follow: Follow = False,
) -> None:
    """Take a run that failed or was cancelled on, with what its nodes have done.

    Prints the id of the new run's task, or with --follow its result.
    """
    started = session.api.request("POST", f"{ROOT}/{name}/runs/{run_id}/replay")
    _show(session, started, follow=follow)


def _show(session: Session, started: Any, *, follow: bool) -> None:
    if follow:
        follow_to_end(session, started["task_id"])
    elif session.json:
        output.write_json(started)
    else:
        output.write(f"{started['task_id']}\n")
