"""Whom an agent works for: its owner alone, or everybody once an administrator has said so."""

from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.anyio


async def decide(http: httpx.AsyncClient, agent: Any, what: str) -> None:
    answer = await http.post(f"/api/agents/{agent.agent_id}/{what}")
    assert answer.status_code == 200, answer.text
    assert answer.json()["shared"] is (what == "share")


async def test_a_shared_agent_works_for_everybody_until_it_is_unshared(
    world: Any, wire: Any, http: httpx.AsyncClient
) -> None:
    member = await world.member("alice")
    async with wire(await world.plane(), name="hers", key=member.key) as agent:
        await agent.connect()
        waiting = await world.submit("echo", "of the administrator")
        await decide(http, agent, "share")
        assigned = await agent.assigned()
        assert assigned.task_id == str(waiting.id)
        await agent.say(assigned, agent.result(1))
        await world.state(waiting.id, "succeeded")
        await decide(http, agent, "unshare")
        # Its control plane hears of it a moment later.
        await world.eventually(lambda: _gets_nothing_from(world, agent))
    async with world.database.transaction() as tx:
        rows = await tx.fetch("SELECT action FROM audit_log WHERE target_kind = 'agent'")
    assert {row["action"] for row in rows} == {"agent.shared", "agent.unshared"}


async def _gets_nothing_from(world: Any, agent: Any) -> bool:
    task = await world.submit("echo", "not for her")
    try:
        await agent.say(await agent.assigned(seconds=1.5), agent.result(1))
    except TimeoutError:
        return (await world.task(task.id)).state == "queued"
    return False


async def test_what_was_decided_holds_when_the_agent_registers_again(
    world: Any, wire: Any, http: httpx.AsyncClient
) -> None:
    member, plane = await world.member("alice"), await world.plane()
    async with wire(plane, name="hers", key=member.key) as agent:
        await decide(http, agent, "share")
    async with wire(plane, name="hers", key=member.key) as again, wire(plane, name="ours") as ours:
        assert again.agent_id == agent.agent_id
        await decide(http, ours, "unshare")
        shown = await http.get(f"/api/agents/{again.agent_id}")
        assert shown.json()["shared"] is True
    async with wire(plane, name="ours") as ours:
        assert (await http.get(f"/api/agents/{ours.agent_id}")).json()["shared"] is False


async def test_a_member_shares_nothing_and_may_take_back_what_is_theirs(
    world: Any, wire: Any, http: httpx.AsyncClient
) -> None:
    alice, bob, plane = await world.member("alice"), await world.member("bob"), await world.plane()
    as_alice = {"authorization": f"Bearer {alice.key}"}
    as_bob = {"authorization": f"Bearer {bob.key}"}
    async with wire(plane, name="hers", key=alice.key) as hers:
        path = f"/api/agents/{hers.agent_id}"
        assert (await http.post(f"{path}/share", headers=as_alice)).status_code == 403
        assert (await http.post(f"{path}/share", headers=as_bob)).status_code == 404
        await decide(http, hers, "share")
        assert (await http.post(f"{path}/unshare", headers=as_bob)).status_code == 403
        assert (await http.post(f"{path}/unshare", headers=as_alice)).status_code == 200
        assert (await http.get(path, headers=as_bob)).status_code == 404
