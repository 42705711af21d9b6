"""`orchestra dead`: dead letters, which are tasks that failed for good."""

import re
from typing import Annotated, Any

import typer

from orchestra_cli import output
from orchestra_cli.errors import CliError, UsageError
from orchestra_cli.inputs import is_id, read_json
from orchestra_cli.session import Session, application, command, confirm

app = application("See what failed for good, and do it again.")

MOST = 100_000
GROUPS = {
    "fingerprint": "GROUP",
    "count": "TASKS",
    "error.code": "CODE",
    "error.message": "MESSAGE",
    "capability": "CAPABILITY",
    "last_at": "LAST",
}
TASKS = {
    "id": "ID",
    "capability": "CAPABILITY",
    "attempt": "ATTEMPT",
    "error.code": "CODE",
    "error.message": "MESSAGE",
    "finished_at": "FAILED",
}
_FINGERPRINT = re.compile(r"[0-9a-f]{16}")
Which = Annotated[
    list[str], typer.Argument(metavar="GROUP|ID...", help="A group, or the ids of tasks.")
]
Limit = Annotated[int, typer.Option(min=1, max=MOST, help="At most so many.")]


@command(app, "list")
def list_groups(session: Session, limit: Limit = 50) -> None:
    """List the groups: failures whose error differs in numbers and ids only."""
    session.show_list(list(session.api.pages("/api/dead-letters", {}, limit)), GROUPS)


@command(app, "show")
def show(
    session: Session,
    group: Annotated[str, typer.Argument(help="A group of `orchestra dead list`.")],
    limit: Limit = 50,
) -> None:
    """List the tasks of a group; `orchestra task get` shows one with its input."""
    if not _FINGERPRINT.fullmatch(group):
        raise UsageError("A group is named by sixteen characters; see `orchestra dead list`.")
    session.show_list(list(session.api.pages(f"/api/dead-letters/{group}", {}, limit)), TASKS)


@command(app, "replay")
def replay(
    session: Session,
    which: Which,
    task_input: Annotated[
        str | None,
        typer.Option("--input", metavar="JSON", help="Another input, for one task; `@file`, `-`."),
    ] = None,
) -> None:
    """Submit a group, or tasks by their ids, again. Prints the ids of the new tasks.

    Says which could not be submitted now, and why; then the exit code is 1.
    """
    body = _chosen(which)
    if task_input is not None:
        body["input"] = read_json(task_input)
    items, refused = _replay(session, body)
    if session.json:
        output.write_json(items)
    else:
        output.write("".join(f"{item['replayed_as']}\n" for item in items))
    for item in refused:
        output.note(f"{item['task_id']}: {item['error']['message']}")
    if refused:
        raise CliError(f"{len(refused)} could not be submitted again now; try again in a moment.")


@command(app, "discard")
def discard(
    session: Session,
    which: Which,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Take a group, or tasks by their ids, out of the list; the tasks stay failed."""
    body = _chosen(which)
    confirm(f"Discard {', '.join(which)}?", yes=yes)
    count, remaining = 0, 1
    while remaining:
        answer = session.api.request("POST", "/api/dead-letters/discard", body=body)
        count, remaining = count + answer["discarded"], answer["remaining"]
    session.show({"discarded": count})


def _replay(session: Session, body: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """Request after request, until only what is refused is left."""
    items: list[Any] = []
    total = 0
    while True:
        answer = session.api.request("POST", "/api/dead-letters/replay", body=body)
        items += answer["items"]
        refused: list[Any] = answer.get("refused", [])  # of a former version none
        # What fails again meanwhile is not for now.
        total = total or len(items) + answer["remaining"]
        left = answer["remaining"] - len(refused)
        if not answer["items"] or left <= 0 or len(items) >= total:
            return items, refused


def _chosen(which: list[str]) -> dict[str, Any]:
    if len(which) == 1 and _FINGERPRINT.fullmatch(which[0]):
        return {"fingerprint": which[0]}
    if any(_FINGERPRINT.fullmatch(item) for item in which):
        raise UsageError("One group at a time, or tasks by their ids.")
    for item in which:
        if not is_id(item):
            raise UsageError(f"{item} is neither a group nor a task's id.")
    return {"task_ids": which}
