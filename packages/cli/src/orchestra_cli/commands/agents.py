"""`orchestra agents`: who is connected, who gets work, and letting new ones in."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from orchestra_cli import ids, output
from orchestra_cli.errors import CliError, MissingError, NotAllowedError, UsageError
from orchestra_cli.inputs import is_id
from orchestra_cli.session import Session, application, command, confirm

app = application("See the agents and let new ones in.")

COLUMNS = {
    "id": "ID",
    "name": "NAME",
    "owner_name": "OWNER",
    "status": "STATUS",
    "slots_in_use": "BUSY",
    "slots": "SLOTS",
    "capabilities": "CAPABILITIES",
    "version": "VERSION",
    "last_heartbeat": "LAST HEARTBEAT",
    "reason": "WHY",
}
MOST = 100_000
WAIT_SECONDS = 600.0
AgentName = Annotated[str, typer.Argument(metavar="AGENT", help="The agent's id or name.")]


class Status(StrEnum):
    ONLINE = "online"
    BUSY = "busy"
    DRAINING = "draining"
    QUARANTINED = "quarantined"
    UNHEALTHY = "unhealthy"
    OFFLINE = "offline"
    NEVER_CONNECTED = "never_connected"


@command(app, "list")
def list_agents(
    session: Session,
    status: Annotated[Status | None, typer.Option(help="Only agents that are so.")] = None,
    capability: Annotated[str | None, typer.Option(help="Only agents that can do this.")] = None,
    version: Annotated[str | None, typer.Option(help="Only agents of this version.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="name=value; may be repeated.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many.")] = 200,
) -> None:
    """List agents."""
    query = {"status": status, "capability": capability, "version": version, "label": label}
    session.show_list(list(session.api.pages("/api/agents", query, limit)), COLUMNS)


@command(app, "get")
def get(session: Session, agent: AgentName) -> None:
    """Show an agent."""
    session.show(_find(session, agent))


@command(app, "drain")
def drain(
    session: Session,
    agents: Annotated[
        list[str] | None, typer.Argument(metavar="AGENT", help="Ids or names of agents.")
    ] = None,
    version: Annotated[str | None, typer.Option(help="All agents of this version.")] = None,
    capability: Annotated[str | None, typer.Option(help="All agents that can do this.")] = None,
    reason: Annotated[str, typer.Option(help="Why, for whoever asks later.")] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Until they have nothing left.")] = False,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds to wait.")] = WAIT_SECONDS,
) -> None:
    """Give agents nothing new; they finish what they have. Undone by `resume`."""
    chosen = _choose(session, agents or [], version=version, capability=capability)
    drained = _decide_all(session, chosen, "drain", {"reason": reason})
    if wait:
        _wait_until_idle(session, drained, timeout)
    _report(session, drained)


@command(app, "resume")
def resume(
    session: Session,
    agents: Annotated[
        list[str] | None, typer.Argument(metavar="AGENT", help="Ids or names of agents.")
    ] = None,
    version: Annotated[str | None, typer.Option(help="All agents of this version.")] = None,
    capability: Annotated[str | None, typer.Option(help="All agents that can do this.")] = None,
) -> None:
    """Give drained agents work again."""
    chosen = _choose(session, agents or [], version=version, capability=capability)
    _report(session, _decide_all(session, chosen, "resume"))


@command(app, "quarantine")
def quarantine(
    session: Session,
    agent: AgentName,
    reason: Annotated[str, typer.Option(help="Why, for whoever asks later.")],
    seconds: Annotated[
        float | None, typer.Option(help="For so long, then one task on trial; else until released.")
    ] = None,
) -> None:
    """Give an agent nothing because it does not work well."""
    body = {"reason": reason, **({} if seconds is None else {"seconds": seconds})}
    _report(session, [_decide(session, _find(session, agent), "quarantine", body)])


@command(app, "release")
def release(session: Session, agent: AgentName) -> None:
    """End an agent's quarantine at once, without a trial."""
    _report(session, [_decide(session, _find(session, agent), "release")])


@command(app, "share")
def share(session: Session, agent: AgentName) -> None:
    """Let an agent work for everybody; only administrators may decide that."""
    _report(session, [_decide(session, _find(session, agent), "share")])


@command(app, "unshare")
def unshare(session: Session, agent: AgentName) -> None:
    """Let an agent work for its owner alone."""
    _report(session, [_decide(session, _find(session, agent), "unshare")])


@command(app, "forget")
def forget(
    session: Session,
    agent: AgentName,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Forget an agent that is not connected, with its key; it has to enrol again."""
    found = _find(session, agent)
    confirm(f"Forget the agent {found['name']} ({found['id']})?", yes=yes)
    session.api.request("DELETE", f"/api/agents/{found['id']}")
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


def _find(session: Session, text: str) -> dict[str, Any]:
    """The agent with this id or name."""
    if is_id(text):
        return session.api.request("GET", f"/api/agents/{text}")
    found = list(session.api.pages("/api/agents", {"name": text}, 2))
    if not found:
        raise MissingError(f"There is no agent {text!r} that you may see.")
    if len(found) > 1:
        raise CliError(f"Several people have an agent {text!r}: give its id.")
    return found[0]


def _choose(
    session: Session, named: list[str], *, version: str | None, capability: str | None
) -> list[dict[str, Any]]:
    if bool(named) == bool(version or capability):
        raise UsageError("Name agents, or say which with --version or --capability.")
    if named:
        return [_find(session, text) for text in named]
    query = {"version": version, "capability": capability}
    chosen = list(session.api.pages("/api/agents", query, MOST))
    if not chosen:
        raise MissingError("No agent matches.")
    return chosen


def _decide_all(
    session: Session, agents: list[dict[str, Any]], what: str, body: dict[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Those about which it was decided; of the others it says why not, and fails if it is all."""
    decided: list[dict[str, Any]] = []
    refused: CliError | None = None
    for agent in agents:
        try:
            decided.append(_decide(session, agent, what, body))
        except NotAllowedError as error:
            refused = error
            output.note(f"{agent['name']}: {error.message}")
    if refused is not None and not decided:
        raise refused
    return decided


def _decide(
    session: Session, agent: dict[str, Any], what: str, body: dict[str, Any] | None = None
) -> dict[str, Any]:
    return session.api.request("POST", f"/api/agents/{agent['id']}/{what}", body=body)


def _wait_until_idle(session: Session, agents: list[dict[str, Any]], seconds: float) -> None:
    limit = ids.monotonic() + seconds
    left = [agent["id"] for agent in agents]
    while left:
        shown = [session.api.request("GET", f"/api/agents/{agent_id}") for agent_id in left]
        # Online still means that its control plane has not heard of the drain.
        left = [
            agent["id"]
            for agent in shown
            if agent["slots_in_use"] or agent["status"] in {"online", "busy"}
        ]
        if left and ids.monotonic() > limit:
            raise CliError(f"{len(left)} agents still have tasks after {seconds:g} s.")
        if left:
            ids.pause(1)


def _report(session: Session, agents: list[dict[str, Any]]) -> None:
    session.show_list(
        agents, {"id": "ID", "name": "NAME", "status": "STATUS", "slots_in_use": "BUSY"}
    )
