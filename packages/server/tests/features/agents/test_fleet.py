"""What people decide about agents, and what follows when an agent fails again and again."""

import asyncio
import uuid
from typing import Any

import httpx
import pytest
from orchestra.features.identity import REVOKED, revocation
from orchestra.features.tasks import NewTask
from orchestra_protocol import agent_pb2 as pb

pytestmark = pytest.mark.anyio


async def shown(http: httpx.AsyncClient, agent: Any) -> dict[str, Any]:
    answer = await http.get(f"/api/agents/{agent.agent_id}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def has_status(world: Any, http: httpx.AsyncClient, agent: Any, *statuses: str) -> Any:
    async def look() -> dict[str, Any] | None:
        found = await shown(http, agent)
        return found if found["status"] in statuses else None

    return await world.eventually(look)


async def decide(http: httpx.AsyncClient, agent: Any, what: str, **body: Any) -> httpx.Response:
    path = f"/api/agents/{agent.agent_id}/{what}"
    return await (
        http.post(path, json=body) if what in {"drain", "quarantine"} else http.post(path)
    )


async def actions(world: Any) -> list[str]:
    async with world.database.transaction() as tx:
        rows = await tx.fetch(
            "SELECT action FROM audit_log WHERE target_kind = 'agent' ORDER BY id"
        )
    return [row["action"] for row in rows]


async def fail(
    world: Any,
    agent: Any,
    *,
    code: str = "handler_error",
    by: Any = None,
    capability: str = "echo",
    **more: Any,
) -> None:
    """A task that the agent breaks, for good."""
    new = NewTask(input=1, capability=capability, max_attempts=1, **more)
    task = await world.submitter.submit(by or world.actor, new)
    await agent.say(await agent.assigned(), agent.failure(1, code, retryable=False))
    await world.state(task.id, "failed")


async def test_a_drained_agent_finishes_what_it_has_and_gets_nothing_new(
    world: Any, wire: Any, http: httpx.AsyncClient
) -> None:
    async with wire(await world.plane()) as agent:
        await agent.connect()
        running = await world.submit("echo", 1)
        assigned = await agent.assigned()
        answer = await decide(http, agent, "drain", reason="new version")
        assert answer.json()["drain"]["reason"] == "new version"
        told = await has_status(world, http, agent, "draining")
        assert told["reason"].endswith("new version")
        waiting = await world.submit("echo", 2)
        await agent.say(assigned, agent.result(1))
        await world.state(running.id, "succeeded")
        with pytest.raises(TimeoutError):
            await agent.assigned(seconds=1.5)
        await decide(http, agent, "resume")
        assert (await agent.assigned()).task_id == str(waiting.id)
    assert await actions(world) == ["agent.drained", "agent.resumed"]


async def test_the_answer_to_a_decision_says_what_was_decided(
    world: Any, wire: Any, http: httpx.AsyncClient
) -> None:
    async with wire(await world.plane()) as agent:
        decisions = (("drain", "draining"), ("quarantine", "quarantined"))
        answer = await decide(http, agent, "drain", reason="later")
        assert (answer.json()["status"], answer.json()["reason"]) == ("never_connected", "")
        await decide(http, agent, "resume")
        await agent.connect()
        await has_status(world, http, agent, "online")
        for (what, status), back in zip(decisions, ("resume", "release"), strict=True):
            told = (await decide(http, agent, what, reason="why not")).json()
            assert told["status"] == status
            assert told["reason"].endswith("why not")
            told = (await decide(http, agent, back)).json()
            assert (told["status"], told["reason"]) == ("online", "")


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("breaks", "its connection has ended"),
        ("ends", "its connection has ended"),
        ("stops", "it has stopped"),
        ("babbles", "its stream was ended: Hello comes once, as the first message."),
        ("is silent", "its connection has ended; before: no heartbeat for"),
        ("is put out", "its stream was ended: Rights or keys have changed: connect again."),
        ("is left", "it was asked to connect elsewhere"),
    ],
)
async def test_an_agent_that_has_gone_shows_why(
    world: Any, wire: Any, http: httpx.AsyncClient, how: str, reason: str
) -> None:
    plane = await world.plane(heartbeat_seconds=0.2, drain_seconds=0.1)
    async with wire(plane) as agent:
        await agent.connect()
        await has_status(world, http, agent, "online")
        if how == "is silent":
            agent.beating.cancel()
            await has_status(world, http, agent, "unhealthy")
        if how in ("breaks", "is silent"):
            await agent.disconnect()
        elif how == "babbles":
            await agent.send(pb.TASK_TYPE_HELLO, pb.Hello())
        elif how == "is put out":
            await world.bus.announce(REVOKED, revocation(world.actor.owner))
        elif how == "is left":
            await plane.stop()
        else:
            if how == "stops":
                await agent.send(pb.TASK_TYPE_DRAIN, pb.Drain())
            await agent.outbox.put(None)
        told = await has_status(world, http, agent, "offline")
        assert told["reason"].startswith(reason)


async def test_a_drain_holds_across_a_restart_of_the_agent(
    world: Any, wire: Any, http: httpx.AsyncClient
) -> None:
    async with wire(await world.plane()) as agent:
        await agent.connect()
        await decide(http, agent, "drain")
        await agent.disconnect()
        agent.instance_id = "instance-2"
        await agent.connect()
        await has_status(world, http, agent, "draining")
        await world.submit("echo", 1)
        with pytest.raises(TimeoutError):
            await agent.assigned(seconds=1.5)


async def test_an_agent_that_fails_again_and_again_is_set_aside_and_shows_that_it_works(
    world: Any, wire: Any, http: httpx.AsyncClient
) -> None:
    plane = await world.plane(quarantine_failures=3, quarantine_seconds=1.5)
    async with wire(plane) as agent:
        await agent.connect()
        for _ in range(3):
            await fail(world, agent)
        told = await has_status(world, http, agent, "quarantined")
        assert "3 failures in a row; the last was handler_error: It broke." in told["reason"]
        tasks = [await world.submit("echo", number) for number in range(3)]
        trial = await agent.assigned()
        with pytest.raises(TimeoutError):
            await agent.assigned(seconds=0.8)
        assert "on trial" in (await shown(http, agent))["reason"]
        await agent.say(trial, agent.result(1))
        for _ in tasks[1:]:
            await agent.say(await agent.assigned(), agent.result(1))
        told = await has_status(world, http, agent, "online")
        assert told["quarantine"] is None
    assert await actions(world) == ["agent.quarantined", "agent.trial_passed"]


async def test_what_one_person_sends_to_everybodys_agent_does_not_set_it_aside(
    world: Any, wire: Any, http: httpx.AsyncClient
) -> None:
    plane = await world.plane(quarantine_failures=2, quarantine_seconds=0.1)
    alice, bob = await world.member("alice"), await world.member("bob")
    async with wire(plane) as agent:
        await agent.connect()
        for _ in range(4):
            await fail(world, agent, by=alice.actor)
            at = uuid.UUID(agent.agent_id)
            await fail(world, agent, code="unknown_capability", capability="x", agent_id=at)
        assert (await shown(http, agent))["quarantine"] is None
        await fail(world, agent, by=bob.actor)
        first = (await shown(http, agent))["quarantine"]
        assert first["reason"].startswith("2 failures in a row")
        await fail(world, agent, by=alice.actor)  # its trial
        assert (await shown(http, agent))["quarantine"] == first


async def test_each_quarantine_is_twice_as_long_as_the_one_before(
    world: Any, wire: Any, http: httpx.AsyncClient
) -> None:
    plane = await world.plane(quarantine_failures=2, quarantine_seconds=1.0)
    async with wire(plane) as agent:
        await agent.connect()
        await fail(world, agent)
        await fail(world, agent)
        await has_status(world, http, agent, "quarantined")
        await fail(world, agent)  # its trial

        async def rounds() -> list[float]:
            async with world.database.transaction() as tx:
                rows = await tx.fetch(
                    "SELECT details FROM audit_log WHERE action = 'agent.quarantined' ORDER BY id"
                )
            return [row["details"]["seconds"] for row in rows]

        await world.eventually(lambda: _is(rounds(), [1, 2]))
        await decide(http, agent, "release")
        await has_status(world, http, agent, "online")


async def test_a_success_in_between_is_no_failure_in_a_row(
    world: Any, wire: Any, http: httpx.AsyncClient
) -> None:
    plane = await world.plane(quarantine_failures=2)

    async def is_forgiven() -> bool:
        async with world.database.transaction() as tx:
            return await tx.fetch_value("SELECT blamed = '{}' FROM agents")

    async def is_blamed() -> bool:
        return any(item.standing.is_blamed for item in plane.it.plane.registry)

    async with wire(plane) as agent:
        await agent.connect()
        for _ in range(3):
            await fail(world, agent)
            await world.eventually(is_blamed)
            task = await world.submit("echo", 1)
            await agent.say(await agent.assigned(), agent.result(1))
            await world.state(task.id, "succeeded")
            await world.eventually(is_forgiven)
        assert (await shown(http, agent))["status"] == "online"


async def test_what_is_lost_at_once_counts_once(
    world: Any, wire: Any, http: httpx.AsyncClient
) -> None:
    plane = await world.plane(quarantine_failures=4, agent_grace_seconds=0.1)
    async with wire(plane, slots=8) as agent:
        await agent.connect()
        tasks = [await world.submit("echo", number) for number in range(8)]
        for _ in tasks:
            await agent.assigned()
        await agent.disconnect()
        for task in tasks:
            await world.state(task.id, "queued")
        await agent.connect()
        await asyncio.gather(*(agent.assigned() for _ in tasks))
        assert (await shown(http, agent))["quarantine"] is None


async def test_a_quarantine_by_hand_lasts_until_it_is_ended(
    world: Any, wire: Any, http: httpx.AsyncClient
) -> None:
    async with wire(await world.plane()) as agent:
        await agent.connect()
        assert (await decide(http, agent, "quarantine", reason=" ")).status_code == 422
        bad = await decide(http, agent, "quarantine", reason="odd", seconds=0.1)
        assert bad.status_code == 422
        await decide(http, agent, "quarantine", reason="answers oddly")
        told = await has_status(world, http, agent, "quarantined")
        assert told["reason"].endswith("answers oddly")
        listing = agent.stub.ListAgents(pb.ListAgentsRequest(), metadata=agent.metadata)
        assert (await listing.read()).status == pb.AGENT_STATUS_QUARANTINED
        await world.submit("echo", 1)
        with pytest.raises(TimeoutError):
            await agent.assigned(seconds=1.5)
        await decide(http, agent, "release")
        await agent.assigned()


async def test_who_neither_owns_an_agent_nor_manages_all_decides_nothing(
    world: Any, wire: Any, http: httpx.AsyncClient
) -> None:
    alice, bob = await world.member("alice"), await world.member("bob")
    plane = await world.plane()
    as_bob = {"authorization": f"Bearer {bob.key}"}
    async with (
        wire(plane, name="hers", key=alice.key) as hers,
        wire(plane, name="shared") as shared,
    ):
        for what in ("drain", "resume", "quarantine", "release"):
            body = {"reason": "x"} if what in {"drain", "quarantine"} else None
            foreign = await http.post(
                f"/api/agents/{hers.agent_id}/{what}", json=body, headers=as_bob
            )
            assert foreign.status_code == 404
            common = await http.post(
                f"/api/agents/{shared.agent_id}/{what}", json=body, headers=as_bob
            )
            assert common.status_code == 403
            nobody = await http.post(f"/api/agents/{uuid.UUID(int=7)}/{what}", json=body)
            assert nobody.status_code == 404
        as_alice = {"authorization": f"Bearer {alice.key}"}
        path = f"/api/agents/{hers.agent_id}/drain"
        assert (await http.post(path, json={}, headers=as_alice)).status_code == 200
        assert (await http.post(path, json={"reason": "x" * 1001})).status_code == 422


async def test_an_agents_own_key_cannot_release_it(
    world: Any, wire: Any, http: httpx.AsyncClient
) -> None:
    made = (await http.post("/api/agents/enrolments", json={"name": "remote"})).json()
    enrolled = await http.post("/api/agents/enrol", json={"token": made["token"], "name": "remote"})
    key = enrolled.json()["agent_key"]
    async with wire(await world.plane(), name="remote", key=key) as agent:
        await decide(http, agent, "quarantine", reason="odd")
        refused = await http.post(
            f"/api/agents/{agent.agent_id}/release", headers={"authorization": f"Bearer {key}"}
        )
        assert refused.status_code == 403


async def test_lists_can_be_cut_by_name_version_and_label(
    world: Any, wire: Any, http: httpx.AsyncClient
) -> None:
    plane = await world.plane()
    async with wire(plane, name="old") as old, wire(plane, name="new") as new:
        for agent, version in ((old, "1.0"), (new, "2.0")):
            await agent.stub.RegisterAgent(
                pb.RegisterAgentRequest(
                    name=agent.name,
                    capabilities=["echo"],
                    slots=1,
                    version=version,
                    labels={"zone": "a", "models": "small, large"},
                ),
                metadata=agent.metadata,
            )
        found = (await http.get("/api/agents?version=1.0&label=zone=a")).json()["items"]
        assert [(item["name"], item["models"]) for item in found] == [("old", ["small", "large"])]
        named = (await http.get("/api/agents?name=new")).json()["items"]
        assert [item["version"] for item in named] == ["2.0"]
        assert (await http.get("/api/agents?label=zone=b")).json()["items"] == []
        assert (await http.get("/api/agents?label=zone")).status_code == 422


async def test_another_version_does_not_answer_for_the_failures_of_the_former(
    world: Any, wire: Any, http: httpx.AsyncClient
) -> None:
    async with wire(await world.plane()) as agent:
        said = pb.RegisterAgentRequest(name="wire", capabilities=["echo"], slots=1, version="2")
        for seconds, is_over in ((600, True), (None, False)):
            await decide(http, agent, "quarantine", reason="breaks", seconds=seconds)
            said.version += ".1"
            await agent.stub.RegisterAgent(said, metadata=agent.metadata)
            assert ((await shown(http, agent))["quarantine"] is None) is is_over


async def _is(found: Any, expected: Any) -> bool:
    return await found == expected
