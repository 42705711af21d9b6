"""`orchestra approvals`: what tasks ask people, and the answers.

An answer is bound to the hash of what was asked: the one that is shown before, or `--hash`.
"""

import json
from enum import StrEnum
from typing import Annotated, Any

import typer

from orchestra_cli import output
from orchestra_cli.errors import UsageError
from orchestra_cli.inputs import an_id
from orchestra_cli.session import Session, application, command, confirm

app = application("See what tasks ask people, and answer.")

COLUMNS = {
    "id": "ID",
    "kind": "KIND",
    "question": "QUESTION",
    "state": "STATE",
    "task_id": "TASK",
    "expires_at": "EXPIRES",
}
Id = Annotated[
    str, typer.Argument(metavar="ID", help="The id of the approval.", parser=an_id("an approval's"))
]
Hash = Annotated[
    str | None,
    typer.Option("--hash", metavar="HASH", help="Its data_hash as you have seen it; asks nothing."),
]
Comment = Annotated[str, typer.Option(help="For the task and the record.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


class State(StrEnum):
    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"
    ANSWERED = "answered"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    ALL = "all"


@command(app, "list")
def list_approvals(
    session: Session,
    state: Annotated[State, typer.Option(help="Only those in this state.")] = State.OPEN,
    task: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Only those of this task.", parser=an_id("a task's")),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many.")] = 50,
) -> None:
    """List what is open, or what was asked, the newest first."""
    query = {"state": None if state is State.ALL else state.value, "task_id": task}
    session.show_list(list(session.api.pages("/api/approvals", query, limit)), COLUMNS)


@command(app, "get")
def get(session: Session, approval_id: Id) -> None:
    """Show a question, exactly what it is about, and its answer."""
    session.show(_get(session, approval_id))


@command(app, "approve")
def approve(
    session: Session,
    approval_id: Id,
    data_hash: Hash = None,
    comment: Comment = "",
    yes: Yes = False,
) -> None:
    """Approve exactly what was asked."""
    _answer(session, approval_id, {"decision": "approve", "comment": comment}, data_hash, yes=yes)


@command(app, "reject")
def reject(
    session: Session,
    approval_id: Id,
    data_hash: Hash = None,
    comment: Comment = "",
    yes: Yes = False,
) -> None:
    """Reject what was asked."""
    _answer(session, approval_id, {"decision": "reject", "comment": comment}, data_hash, yes=yes)


@command(app, "answer")
def answer(
    session: Session,
    approval_id: Id,
    text: Annotated[str, typer.Argument(metavar="ANSWER", help="What to say.")],
    data_hash: Hash = None,
    comment: Comment = "",
    yes: Yes = False,
) -> None:
    """Answer a question with words, or one of its choices."""
    said = {"decision": "approve", "answer": text, "comment": comment}
    _answer(session, approval_id, said, data_hash, yes=yes)


def _answer(
    session: Session, approval_id: str, said: dict[str, Any], data_hash: str | None, *, yes: bool
) -> None:
    if data_hash is None:
        asked = _get(session, approval_id)
        if asked["kind"] == "ask" and said["decision"] == "approve" and "answer" not in said:
            raise UsageError(f"It asks for words: orchestra approvals answer {approval_id} ANSWER")
        output.note(asked["question"])
        output.note(json.dumps(asked["data"], ensure_ascii=False, indent=2))
        if asked.get("choices"):
            output.note(f"One of: {', '.join(map(str, asked['choices']))}")
        confirm(f"{said['decision'].capitalize()} this?", yes=yes)
        data_hash = asked["data_hash"]
    path = f"/api/approvals/{approval_id}/answer"
    answered = session.api.request("POST", path, body={**said, "data_hash": data_hash})
    session.show(answered, {"id": "id", "state": "state"})


def _get(session: Session, approval_id: str) -> dict[str, Any]:
    found: dict[str, Any] = session.api.request("GET", f"/api/approvals/{approval_id}")
    return found
