"""`orchestra agent`: run an agent from a file, or enrol one of this machine."""

import asyncio
import logging
from pathlib import Path
from typing import Annotated

import typer

from orchestra_cli import output
from orchestra_cli.errors import CliError
from orchestra_cli.session import Session, application, command, secret

app = application("Run an agent, or enrol one at an instance.")


@command(app, "run")
def run(
    session: Session,
    file: Annotated[Path, typer.Argument(help="A Python file that holds one Agent.")],
    url: Annotated[str | None, typer.Option(help="The instance, if it is not to be found.")] = None,
) -> None:
    """Run the agent in FILE until Ctrl-C; what it has begun is finished first."""
    from orchestra_sdk import AgentError, load  # noqa: PLC0415 - brings grpc

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    named = session.named_target()
    try:
        agent = load(file)
        output.note(f"{agent.name}: {', '.join(agent.capabilities)}")
        serving = agent.serve(
            url=url or (named and named.url), key=named and named.key, until_signal=True
        )
        asyncio.run(serving)
    except AgentError as error:
        raise CliError(str(error)) from error


@command(app, "enroll")
def enroll(
    session: Session,
    url: Annotated[str, typer.Argument(help="The instance's address, as in the browser.")],
    name: Annotated[str, typer.Option(help="The agent's name.")],
    token_stdin: Annotated[
        bool, typer.Option("--token-stdin", help="Read the token from standard input.")
    ] = False,
) -> None:
    """Exchange a one-time token for a credential of the agent's own."""
    from orchestra_sdk import AgentError  # noqa: PLC0415 - brings grpc
    from orchestra_sdk import enroll as exchange  # noqa: PLC0415

    token = secret("Token", from_stdin=token_stdin)
    try:
        path = exchange(url, token, name=name)
    except AgentError as error:
        raise CliError(str(error)) from error
    if session.json:
        output.write_json({"name": name, "credential": str(path)})
    else:
        output.write(f"{path}\n")
