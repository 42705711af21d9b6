"""`orchestra agents`: who is connected, and letting new ones in."""

from typing import Annotated

import typer

from orchestra_cli import output
from orchestra_cli.session import Session, application, command, confirm

app = application("See the agents and let new ones in.")

COLUMNS = {
    "id": "ID",
    "name": "NAME",
    "status": "STATUS",
    "slots_in_use": "BUSY",
    "slots": "SLOTS",
    "capabilities": "CAPABILITIES",
    "version": "VERSION",
    "last_heartbeat": "LAST HEARTBEAT",
}
AgentId = Annotated[str, typer.Argument(metavar="ID", help="The id of the agent.")]


@command(app, "list")
def list_agents(
    session: Session,
    status: Annotated[str | None, typer.Option(help="online, busy, draining, …")] = None,
    capability: Annotated[str | None, typer.Option(help="Only agents that can do this.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many.")] = 200,
) -> None:
    """List agents."""
    query = {"status": status, "capability": capability}
    session.show_list(list(session.api.pages("/api/agents", query, limit)), COLUMNS)


@command(app, "get")
def get(session: Session, agent_id: AgentId) -> None:
    """Show an agent."""
    session.show(session.api.request("GET", f"/api/agents/{agent_id}"))


@command(app, "forget")
def forget(
    session: Session,
    agent_id: AgentId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Forget an agent that is offline; it has to enrol again."""
    confirm(f"Forget the agent {agent_id}?", yes=yes)
    session.api.request("DELETE", f"/api/agents/{agent_id}")
    output.note("forgotten")


@command(app, "enrol-token")
def enrol_token(
    session: Session,
    name: Annotated[str | None, typer.Option(help="The only name it is good for.")] = None,
) -> None:
    """Make a token that lets one agent in, once, within 15 minutes."""
    body = {"name": name} if name else {}
    made = session.api.request("POST", "/api/agents/enrolments", body=body)
    if session.json:
        output.write_json(made)
        return
    output.write(f"{made['token']}\n")
    output.note(f"Good until {made['expires_at']}. On the agent's machine:\n  {made['command']}")
