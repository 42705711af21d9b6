"""`orchestra providers`: where models come from."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from orchestra_cli import output
from orchestra_cli.errors import CliError, MissingError
from orchestra_cli.session import Session, application, command, confirm, secret

app = application("Connect providers of models.")

COLUMNS = {
    "id": "ID",
    "name": "NAME",
    "kind": "KIND",
    "base_url": "ADDRESS",
    "key_last4": "KEY ENDS IN",
    "enabled": "ENABLED",
}
Name = Annotated[str, typer.Argument(metavar="NAME", help="The provider's name, or id.")]


class Kind(StrEnum):
    OPENAI = "openai"
    ANTHROPIC = "anthropic"


@command(app, "list")
def list_providers(session: Session) -> None:
    """List providers."""
    session.show_list(session.api.request("GET", "/api/providers")["items"], COLUMNS)


@command(app, "add")
def add(
    session: Session,
    name: Annotated[str, typer.Argument(help="A short name; models are called NAME/MODEL.")],
    kind: Annotated[Kind, typer.Option(help="Which API it speaks.")] = Kind.OPENAI,
    base_url: Annotated[str | None, typer.Option(help="Its address, if not the usual one.")] = None,
    key_stdin: Annotated[
        bool, typer.Option("--key-stdin", help="Read the API key from standard input.")
    ] = False,
    no_key: Annotated[bool, typer.Option("--no-key", help="It asks for no key.")] = False,
) -> None:
    """Add a provider. The key is typed unseen or read from standard input, never shown again."""
    body: dict[str, Any] = {"name": name, "kind": kind.value}
    if base_url is not None:
        body["base_url"] = base_url
    if not no_key:
        body["api_key"] = secret("API key", from_stdin=key_stdin)
    added = session.api.request("POST", "/api/providers", body=body)
    session.show(added, {"id": "id", "name": "name", "base_url": "address", "models": "models"})


@command(app, "test")
def test(session: Session, name: Name) -> None:
    """Ask a provider for its models, to see whether address and key are good."""
    provider = _find(session, name)
    result = session.api.request("POST", f"/api/providers/{provider['id']}/test", body={})
    session.show(result)
    if not result["ok"]:
        raise CliError(str(result.get("error") or "The provider did not answer."))


@command(app, "remove")
def remove(
    session: Session,
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove a provider and its key."""
    provider = _find(session, name)
    confirm(f"Remove the provider {provider['name']}?", yes=yes)
    session.api.request("DELETE", f"/api/providers/{provider['id']}")
    output.note("removed")


def _find(session: Session, name: str) -> dict[str, Any]:
    providers: list[dict[str, Any]] = session.api.request("GET", "/api/providers")["items"]
    for provider in providers:
        if name in (provider["name"], provider["id"]):
            return provider
    raise MissingError(f"There is no provider {name}.")
