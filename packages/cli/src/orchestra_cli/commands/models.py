"""`orchestra models`: what can be talked with."""

from typing import Annotated, Any

import typer

from orchestra_cli.session import Session, application, command

app = application("See the models and choose the default.")

COLUMNS = {"id": "ID", "name": "NAME", "provider": "PROVIDER", "is_default": "DEFAULT"}


@command(app, "list")
def list_models(session: Session) -> None:
    """List the models of all enabled providers."""
    session.show_list(session.api.request("GET", "/api/models")["items"], COLUMNS)


@command(app, "default")
def default(
    session: Session,
    model: Annotated[
        str | None, typer.Argument(metavar="PROVIDER/MODEL", help="The new default.")
    ] = None,
) -> None:
    """Show the default model, or set it."""
    if model is not None:
        session.api.request("PUT", "/api/models/default", body={"id": model})
    models: list[dict[str, Any]] = session.api.request("GET", "/api/models")["items"]
    session.show_list([item for item in models if item["is_default"]], COLUMNS)
