"""`orchestra chat`: a conversation in the terminal, the same one that the browser shows."""

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from orchestra_cli import ids, output
from orchestra_cli.errors import INTERRUPTED, CliError, UsageError
from orchestra_cli.session import Session, application, command

if TYPE_CHECKING:
    from orchestra_cli.follow import Finished, Text

app = application("Talk with a model.")


@command(app, "chat")
def chat(
    session: Session,
    text: Annotated[
        str | None, typer.Argument(help="What to say; `-` reads it from stdin.")
    ] = None,
    conversation: Annotated[
        str | None, typer.Option(metavar="ID", help="Go on with this conversation.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="PROVIDER/MODEL", help="The model; see `models list`.")
    ] = None,
) -> None:
    """Ask, and see the answer as it is written. Without a text on a terminal: a dialogue.

    Ctrl-C stops the answer, on the server too.
    """
    content = sys.stdin.read().strip() if text == "-" else text
    if content is None and not output.interactive():
        raise UsageError('Say something: orchestra chat "What is the capital of France?"')
    thread = _Thread(session, _conversation(session, conversation, model))
    if content is not None:
        thread.ask(content)
    else:
        _dialogue(thread)


def _conversation(session: Session, given: str | None, model: str | None) -> str:
    if given is None:
        body = {"model": model} if model else {}
        created: dict[str, Any] = session.api.request("POST", "/api/conversations", body=body)
        return str(created["id"])
    if model:
        session.api.request("PATCH", f"/api/conversations/{given}", body={"model": model})
    return given


def _dialogue(thread: "_Thread") -> None:
    output.note("An empty line or Ctrl-D ends the dialogue; Ctrl-C stops an answer.")
    while True:
        sys.stderr.write("› ")
        sys.stderr.flush()
        line = sys.stdin.readline().strip()
        if not line:
            return
        try:
            thread.ask(line)
        except typer.Exit:
            continue


@dataclass(slots=True)
class _Thread:
    """One conversation; asks and prints."""

    session: Session
    conversation: str

    def ask(self, content: str) -> None:
        started: dict[str, Any] = self.session.api.request(
            "POST",
            f"/api/conversations/{self.conversation}/messages",
            body={"content": content},
            idempotency_key=ids.new_key(),
        )
        message = started["assistant_message"]
        streams = sys.stdout.isatty() and not self.session.json
        finished, text, interrupted = self._follow(message, streams=streams)
        self._print(message, finished, text, streams=streams)
        if interrupted:
            raise typer.Exit(INTERRUPTED)
        if finished.state == "failed":
            error = finished.error or {}
            raise CliError(str(error.get("message") or "The answer failed."))

    def _follow(self, message: dict[str, Any], *, streams: bool) -> "tuple[Finished, str, bool]":
        from orchestra_cli.follow import Follower, Text  # noqa: PLC0415 - brings httpx

        shown = Text(output.write if streams else lambda _: None)
        follower = Follower(self.session.api, shown, lambda _kind, _content: None)
        interrupted = False
        while True:
            try:
                finished = follower.run(message["task_id"])
                return finished, _text_of(finished.result, shown), interrupted
            except KeyboardInterrupt:
                if interrupted:
                    raise
                interrupted = True
                self._stop(message)

    def _stop(self, message: dict[str, Any]) -> None:
        output.note("\nstopping …")
        path = f"/api/conversations/{self.conversation}/messages/{message['id']}/stop"
        self.session.api.request("POST", path, idempotency_key=ids.new_key())

    def _print(
        self, message: dict[str, Any], finished: "Finished", text: str, *, streams: bool
    ) -> None:
        if self.session.json:
            output.write_json(
                {
                    "conversation_id": self.conversation,
                    "message_id": message["id"],
                    "task_id": message["task_id"],
                    "state": finished.state,
                    "text": text,
                    "error": finished.error,
                    "usage": finished.usage,
                }
            )
            return
        output.write("\n" if streams else f"{text}\n")
        output.note(f"conversation {self.conversation}")


def _text_of(result: object, shown: "Text") -> str:
    """The whole answer; prints what of it the stream did not bring."""
    if isinstance(result, dict) and "text" in result:
        shown.replace(str(cast("dict[str, Any]", result)["text"]))
    return shown.current or shown.shown
