"""Why a task that could run now has no agent: who could take it, limits, and its place in line."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from orchestra.features.tasks.repository import limits
from orchestra.features.tasks.repository import why as repository
from orchestra.features.tasks.repository.limits import Limit, LimitScope, Room
from orchestra.features.tasks.repository.why import MAX_AHEAD, Facts, Server
from orchestra.features.tasks.service.reading import turns
from orchestra.features.tasks.service.reading.wording import count_words, ordinal, seconds_words
from orchestra.features.tasks.types import Why
from orchestra.foundation.database import Transaction


def held_by_agents(task: Facts, servers: Sequence[Server]) -> Why | None:
    """None if somebody takes tasks like this one."""
    connected = [agent for agent in servers if agent.status != "offline"]
    allowed = [agent for agent in connected if agent.is_for]
    known = {"queue": task.queue, "connected": len(connected), "known": len(servers)}
    what = f"can do {task.capability}" if task.queue == task.capability else "it is for"
    if not connected:
        also = f" {count_words(len(servers), 'is', 'are')} known and offline." if servers else ""
        return Why("no_agent", f"No agent that {what} is connected.{also}", known)
    if not allowed:
        said = f"The agents that {what} work for their owners only."
        return Why("only_owner_agents", said, known)
    if any(_takes(agent) for agent in allowed):
        return None
    return _out_of_service(allowed, known)


async def held_by_limits(tx: Transaction, task: Facts, *, is_own: bool) -> Why | None:
    """None if every limit has room for it."""
    if not task.buckets:
        return None
    rooms = await limits.rooms(tx, task.buckets)
    rules = await limits.by_bucket(tx, task.buckets)
    full = next((name for name in task.buckets if not rooms[name].is_open), None)
    if full is None or full not in rules:
        return None
    return _limit(rules[full], rooms[full], is_own=is_own)


async def its_turn(tx: Transaction, task: Facts, servers: Sequence[Server]) -> Why:
    """Its place among those that wait, and when its turn comes by what tasks have taken so far."""
    able = [agent for agent in servers if agent.is_for and _takes(agent)]
    slots = sum(agent.slots for agent in able)
    free = sum(max(0, agent.slots - agent.in_use) for agent in able)
    ahead = await repository.count_ahead(tx, task, only_own=False)
    queues = {name for agent in able for name in agent.queues}
    elsewhere = await repository.count_elsewhere(tx, task, sorted(queues))
    known: dict[str, Any] = {"slots": slots, "free": free, "position": ahead + 1}
    known |= {"elsewhere": elsewhere, "seconds": None}
    if ahead + elsewhere < free:
        return Why("about_to_start", "A slot is free; it starts in a moment.", known)
    seconds = None if elsewhere else await _seconds(tx, task, able, ahead)
    known["seconds"] = None if seconds is None else round(seconds, 1)
    place = f"it is {ordinal(ahead + 1)} in line"
    if ahead == MAX_AHEAD:
        place = f"more than {MAX_AHEAD} are before it"
    when = f"about {seconds_words(seconds)}" if seconds is not None else "nothing measured yet"
    if elsewhere:  # whose turn it is between queues is known only when it is
        when = f"and {count_words(elsewhere, 'task')} of their other queues may go first"
    if free > 0:
        said = f"{free} of {slots} slots are free ({_agents(able)}), but not for so many at once"
        return Why("in_line", f"{said}; {place}, {when}.", known)
    busy = f"All {slots} are busy" if slots > 1 else "The only one is busy"
    return Why("all_busy", f"{busy} ({_agents(able)}); {place}, {when}.", known)


async def _seconds(
    tx: Transaction, task: Facts, able: Sequence[Server], ahead: int
) -> float | None:
    """Until its turn; None if too little is measured to say it."""
    running = await repository.running(tx, [agent.id for agent in able if agent.in_use])
    usual = Counter(other.queue for other in running).most_common()
    queues = dict.fromkeys([task.queue, *(queue for queue, _ in usual)])
    took = await repository.took(tx, list(queues))
    return turns.estimate(able, running, took, queue=task.queue, ahead=ahead)


def _takes(agent: Server) -> bool:
    return agent.status in ("online", "busy") and not agent.is_drained and not agent.is_quarantined


def _out_of_service(agents: Sequence[Server], known: dict[str, Any]) -> Why:
    quarantined = [agent for agent in agents if agent.is_quarantined]
    draining = [agent for agent in agents if agent.is_drained or agent.status == "draining"]
    for code, those, state in (
        ("agent_quarantined", quarantined, "in quarantine"),
        ("agent_draining", draining, "draining"),
    ):
        if those:
            first = those[0]
            what = f"{state} ({first.reason})" if first.reason else state
            if first.reason.startswith(state):
                what = first.reason
            until = first.quarantine_until if code == "agent_quarantined" else None
            known |= {"agent_name": first.name, "agents": len(those), "reason": first.reason}
            known |= {"until": None if until is None else until.isoformat()}
            more = f" and {len(those) - 1} more are" if len(those) > 1 else " is"
            return Why(code, f"{first.name}{more} {what}.", known)
    said = f"{_agents(agents)} could take it, but is not heard of in time."
    return Why("no_agent", said, known)


def _limit(rule: Limit, room: Room, *, is_own: bool) -> Why:
    whose = {
        LimitScope.QUEUE: f"The limit of the queue {rule.queue}",
        LimitScope.USER: "Your limit" if is_own else "The limit of its user",
        LimitScope.KEY: f"The limit of tasks with the same {rule.key_pointer or 'input'}",
    }[rule.scope]
    known: dict[str, Any] = {"limit_id": str(rule.id), "scope": rule.scope, "queue": rule.queue}
    if room.slots is not None and room.slots <= 0:
        known |= {"max_running": rule.max_running}
        return Why("limit_reached", f"{whose}, {rule.max_running} at a time, is reached.", known)
    known |= {"rate": rule.rate, "per_seconds": rule.per_seconds, "seconds": round(room.seconds, 1)}
    said = f"{whose}, {rule.rate:g} in {seconds_words(rule.per_seconds or 1)}, is used up; "
    return Why("rate_limited", f"{said}the next starts in {seconds_words(room.seconds)}.", known)


def _agents(agents: Sequence[Server]) -> str:
    return agents[0].name if len(agents) == 1 else count_words(len(agents), "agent")
