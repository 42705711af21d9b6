"""`orchestra task`: submit work to agents and follow it."""

import json
import sys
from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestra_cli import ids, output, trees
from orchestra_cli.errors import CliError, UsageError
from orchestra_cli.inputs import an_id, read_json, read_object
from orchestra_cli.session import Session, application, command, confirm

if TYPE_CHECKING:
    from orchestra_cli.follow import Finished

app = application("Submit tasks to agents and follow them.")

MAX_BATCH = 1000
COLUMNS = {
    "id": "ID",
    "capability": "CAPABILITY",
    "state": "STATE",
    "priority": "PRIORITY",
    "attempt": "ATTEMPT",
    "agent_name": "AGENT",
    "created_at": "CREATED",
}
STEP_COLUMNS = {
    "name": "NAME",
    "kind": "KIND",
    "settled_at": "SETTLED",
    "output": "OUTPUT",
    "error.message": "ERROR",
}
CANCELLATION = ("requested_at", "requested_by", "reason", "is_complete", "tasks", "stopping")
STOPPED_COLUMNS = {
    "id": "ID",
    "capability": "CAPABILITY",
    "agent_name": "AGENT",
    "state": "STATE",
    "how": "HOW",
    "ran_on": "RAN ON (S)",
    "after_fence": "AFTER THE FENCE",
    "refused_writes": "REFUSED WRITES",
}
AFTER_FENCE = {
    "stopped": "its agent said at {at} that it had stopped",
    "heard": "still heard of at {at}; unknown after that",
    "unknown": "unknown",
}
TaskId = Annotated[
    str, typer.Argument(metavar="ID", help="The id of the task.", parser=an_id("a task's"))
]


class Priority(StrEnum):
    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    CRITICAL = "critical"


class BulkAction(StrEnum):
    CANCEL = "cancel"
    RETRY = "retry"
    PRIORITY = "priority"


@command(app, "submit")
def submit(
    session: Session,
    capability: Annotated[str, typer.Argument(help="What an agent must be able to do.")],
    task_input: Annotated[
        str,
        typer.Option(
            "--input", metavar="JSON", help="The input; `@file` and `-` (stdin) work too."
        ),
    ] = "null",
    priority: Annotated[Priority, typer.Option(help="Which tasks go first.")] = Priority.NORMAL,
    follow: Annotated[
        bool, typer.Option("--follow", help="Wait for the end, print results.")
    ] = False,
    count: Annotated[int, typer.Option(min=1, max=100_000, help="Submit it so many times.")] = 1,
    idempotency_key: Annotated[
        str | None, typer.Option(metavar="KEY", help="The same key submits the same task once.")
    ] = None,
    delay: Annotated[
        float | None, typer.Option(metavar="SECONDS", min=0, help="Not before so long from now.")
    ] = None,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="Not before, e.g. 2027-01-01T09:00:00+01:00.")
    ] = None,
    deadline: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="For the whole, with every attempt.")
    ] = None,
    retry: Annotated[
        str | None,
        typer.Option(metavar="JSON", help="How to try again, e.g. '{\"max_attempts\": 5}'."),
    ] = None,
    more: Annotated[
        str | None,
        typer.Option(
            "--task", metavar="JSON", help="More: `agent_id`, `affinity_key`, time-outs …"
        ),
    ] = None,
) -> None:
    """Submit a task. Prints its id, or with --follow its result."""
    if idempotency_key is not None and count > 1:
        raise UsageError("--idempotency-key names one task, --count asks for many.")
    task = {
        "capability": capability,
        "input": read_json(task_input),
        "priority": priority.value,
        **({} if delay is None else {"delay_seconds": delay}),
        **({} if at is None else {"run_at": at}),
        **({} if deadline is None else {"deadline_seconds": deadline}),
        **({} if retry is None else {"retry": read_json(retry)}),
        **({} if more is None else read_object(more)),
    }
    if count > 1:
        _submit_many(session, task, count, follow=follow)
        return
    submitted: dict[str, Any] = session.api.request(
        "POST", "/api/tasks", body=task, idempotency_key=idempotency_key or ids.new_key()
    )
    if follow:
        follow_to_end(session, submitted["id"])
    elif session.json:
        output.write_json(submitted)
    else:
        output.write(f"{submitted['id']}\n")


@command(app, "get")
def get(session: Session, task_id: TaskId) -> None:
    """Show a task with its attempts and result."""
    session.show(session.api.request("GET", f"/api/tasks/{task_id}"))


@command(app, "list")
def list_tasks(
    session: Session,
    state: Annotated[str | None, typer.Option(help="Only tasks in this state.")] = None,
    capability: Annotated[str | None, typer.Option(help="Only tasks for this capability.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many.")] = 50,
) -> None:
    """List tasks, the newest first."""
    query = {"state": state, "capability": capability}
    session.show_list(list(session.api.pages("/api/tasks", query, limit)), COLUMNS)


@command(app, "follow")
def follow_task(session: Session, task_id: TaskId) -> None:
    """Follow a task to its end and print its result."""
    follow_to_end(session, task_id)


@command(app, "cancel")
def cancel(
    session: Session,
    task_id: TaskId,
    reason: Annotated[str | None, typer.Option(help="Why, for the record.")] = None,
) -> None:
    """Cancel a task; a running one is told to stop."""
    body = {"reason": reason} if reason else {}
    task = session.api.request("POST", f"/api/tasks/{task_id}/cancel", body=body)
    session.show(task, {"id": "id", "state": "state"})


@command(app, "why")
def why(session: Session, task_id: TaskId) -> None:
    """Say why a task does not run, or what it does."""
    said: dict[str, Any] = session.api.request("GET", f"/api/tasks/{task_id}/why")
    if session.json:
        output.write_json(said)
    else:
        output.write(f"{said['message']} ({said['code']})\n")


@command(app, "priority")
def priority(
    session: Session,
    task_id: TaskId,
    word: Annotated[Priority, typer.Argument(metavar="PRIORITY", help="Which tasks go first.")],
) -> None:
    """Give a task that is not over another priority."""
    task = session.api.request("PATCH", f"/api/tasks/{task_id}", body={"priority": word.value})
    session.show(task, {"id": "id", "state": "state", "priority": "priority"})


@command(app, "bulk")
def bulk(
    session: Session,
    action: Annotated[BulkAction, typer.Argument(help="What to do with all of them.")],
    state: Annotated[list[str] | None, typer.Option(help="In this state; may be repeated.")] = None,
    queue: Annotated[str | None, typer.Option(help="In this queue.")] = None,
    capability: Annotated[str | None, typer.Option(help="For this capability.")] = None,
    error: Annotated[str | None, typer.Option(metavar="CODE", help="That failed so.")] = None,
    of_priority: Annotated[Priority | None, typer.Option(help="With this priority now.")] = None,
    after: Annotated[str | None, typer.Option(metavar="TIME", help="Made at or after it.")] = None,
    before: Annotated[str | None, typer.Option(metavar="TIME", help="Made before it.")] = None,
    user: Annotated[
        str | None, typer.Option(metavar="ID", help="Of this user.", parser=an_id("a user's"))
    ] = None,
    agent: Annotated[
        str | None, typer.Option(metavar="ID", help="At this agent.", parser=an_id("an agent's"))
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option("--id", metavar="ID", help="This; repeatable.", parser=an_id("a task's")),
    ] = None,
    to: Annotated[Priority | None, typer.Option(help="With `priority`: the new one.")] = None,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Cancel, retry or move all tasks that a filter means: your own, an administrator's: all."""
    wanted = {"state": state, "queue": queue, "capability": capability, "error_code": error}
    wanted |= {"priority": of_priority, "created_after": after, "created_before": before}
    wanted |= {"user_id": user, "agent_id": agent, "ids": task}
    meant = {name: value for name, value in wanted.items() if value is not None}
    if not meant:
        raise UsageError("Say which tasks are meant; see --help.")
    if (action is BulkAction.PRIORITY) != (to is not None):
        raise UsageError("--to goes with `priority`, and `priority` needs it.")
    words = ", ".join(f"{name} {value}" for name, value in meant.items())
    confirm(f"{action.capitalize()} all tasks with {words}?", yes=yes)
    body = {"action": action.value, "filter": meant, "priority": to, "reason": reason}
    total, cursor, refused = 0, None, 0
    while True:
        done = session.api.request("POST", "/api/tasks/bulk", body=body | {"cursor": cursor})
        total, cursor = total + done["changed"], done["next_cursor"]
        for item in done.get("refused", []):
            refused += 1
            output.note(f"{item['task_id']}: {item['error']['message']}")
        if cursor is None:
            break
        output.note(f"{total} …")
    session.show({"changed": total})
    if refused:
        raise CliError(f"{refused} could not be submitted again now; try again in a moment.")


@command(app, "tree")
def tree(
    session: Session,
    task_id: TaskId,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many.")] = 1000,
) -> None:
    """Show a task and everything below it."""
    nodes = list(session.api.pages(f"/api/tasks/{task_id}/tree", {}, limit))
    if session.json:
        output.write_json(nodes)
    else:
        output.write("".join(f"{line}\n" for line in trees.lines(nodes)))


@command(app, "steps")
def steps(
    session: Session,
    task_id: TaskId,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many.")] = 200,
) -> None:
    """Show what a task has done, or begun, for good."""
    found = list(session.api.pages(f"/api/tasks/{task_id}/steps", {}, limit))
    session.show_list(found, STEP_COLUMNS)


@command(app, "cancellation")
def cancellation(session: Session, task_id: TaskId) -> None:
    """Show who has stopped a task, and how each task below it came to its end."""
    path = f"/api/tasks/{task_id}/cancellation"
    record: dict[str, Any] = session.api.request("GET", path)
    while record["next_cursor"]:
        query = {"cursor": record["next_cursor"]}
        more: dict[str, Any] = session.api.request("GET", path, query=query)
        record = {**more, "items": record["items"] + more["items"]}
    if session.json:
        output.write_json(record)
        return
    output.record({name: record[name] for name in CANCELLATION})
    output.table([{**item, **_ran_on(item)} for item in record["items"]], STOPPED_COLUMNS)


def _ran_on(item: Mapping[str, Any]) -> dict[str, str | None]:
    """How long a run went on after the cancel, and what of that nobody knows, in words."""
    seconds = item.get("ran_on_seconds")
    ran_on = None if seconds is None else f"{seconds:.1f}"
    known = item.get("after_fence")
    if known is None:
        return {"ran_on": ran_on, "after_fence": None}
    words = AFTER_FENCE[known].format(at=item.get("stopped_at") or item.get("last_heard_at"))
    return {"ran_on": ran_on if known == "stopped" else f"at least {ran_on}", "after_fence": words}


def follow_to_end(session: Session, task_id: str) -> None:
    """Shows what a task says until its end, and prints its result; CliError if it has none."""
    from orchestra_cli.follow import Follower, Text, describe  # noqa: PLC0415 - brings httpx

    # Text goes to the terminal as it comes; a pipe gets the result only, which repeats it.
    streams = sys.stderr.isatty() and not session.json
    text = Text(_to_terminal if streams else lambda _: None)
    finished = Follower(session.api, text, describe).run(task_id)
    if streams and text.shown:
        output.note("")
    _print_finished(session, task_id, finished)


def _to_terminal(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def _print_finished(session: Session, task_id: str, finished: "Finished") -> None:
    if session.json:
        output.write_json(
            {
                "id": task_id,
                "state": finished.state,
                "result": finished.result,
                "error": finished.error,
                "usage": finished.usage,
            }
        )
    elif finished.state == "succeeded":
        output.write(json.dumps(finished.result, ensure_ascii=False) + "\n")
    if finished.state != "succeeded":
        raise CliError(f"The task {finished.state}{_reason(finished)}.")


def _reason(finished: "Finished") -> str:
    error = finished.error or {}
    if not error:
        return ""
    return f": {error.get('message')} ({error.get('code')})"


def _submit_many(session: Session, task: dict[str, Any], count: int, *, follow: bool) -> None:
    submitted: list[dict[str, Any]] = []
    while len(submitted) < count:
        batch = [task] * min(MAX_BATCH, count - len(submitted))
        answer = session.api.request("POST", "/api/tasks/batch", body={"tasks": batch})
        submitted += answer["items"]
    if follow:
        _follow_many(session, [item["id"] for item in submitted])
    elif session.json:
        output.write_json(submitted)
    else:
        output.write("".join(f"{item['id']}\n" for item in submitted))


def _follow_many(session: Session, task_ids: list[str]) -> None:
    from rich.console import Console  # noqa: PLC0415 - only for long work
    from rich.progress import track  # noqa: PLC0415

    from orchestra_cli.follow import Follower, Text  # noqa: PLC0415 - brings httpx

    console = Console(stderr=True, no_color=not output.colours(sys.stderr.isatty()))
    states: dict[str, int] = {}
    shown = not console.is_terminal
    for task_id in track(task_ids, "waiting", console=console, disable=shown):
        follower = Follower(session.api, Text(lambda _: None), lambda _kind, _content: None)
        state = follower.run(task_id).state
        states[state] = states.get(state, 0) + 1
    session.show({"submitted": len(task_ids), **states})
    if states.get("succeeded", 0) != len(task_ids):
        raise CliError("Not every task succeeded.")
