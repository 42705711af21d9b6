"""Who is connected, how they are, and who may know."""

import asyncio
import uuid
from typing import Any

import grpc
import httpx
import msgspec
import pytest
from orchestra.features.agents import events, jobs, repository, rpc
from orchestra.features.identity import REVOKED
from orchestra.foundation import telemetry
from orchestra_protocol import agent_pb2 as pb

pytestmark = pytest.mark.anyio


async def status_of(http: httpx.AsyncClient, agent_id: str) -> str:
    answer = await http.get(f"/api/agents/{agent_id}")
    return str(answer.json()["status"])


async def enrolled(http: httpx.AsyncClient, name: str) -> str:
    """The key of an agent that has just been let in."""
    made = (await http.post("/api/agents/enrolments", json={"name": name})).json()
    body = {"token": made["token"], "name": name}
    return str((await http.post("/api/agents/enrol", json=body)).json()["agent_key"])


async def test_the_same_owner_and_name_are_the_same_agent(world: Any, wire: Any) -> None:
    plane = await world.plane()
    async with wire(plane) as first, wire(plane) as again, wire(plane, name="other") as other:
        assert first.agent_id == again.agent_id
        assert first.agent_id != other.agent_id


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "n" * 101},
        {"slots": 0},
        {"slots": 1001},
        {"capabilities": ()},
        {"capabilities": ("has space",)},
        {"capabilities": ("tasks.>",)},
        {"capabilities": (str(uuid.UUID(int=1)),)},
        {"name": " "},
        {"details": (pb.Capability(name="unknown"),)},
        {"details": (pb.Capability(name="echo"),) * 2},
        {"details": (pb.Capability(name="echo", probe_seconds=float("inf")),)},
        {"details": (pb.Capability(name="echo", probe_seconds=float("nan")),)},
        {"details": (pb.Capability(name="echo", input_schema='"\\ud800"'),)},
        {"details": (pb.Capability(name="echo", input_schema="[" * 30_000),)},
        {"details": (pb.Capability(name="echo", input_schema="1", description="x" * 5_000),)},
    ],
)
async def test_a_registration_that_cannot_be_is_refused(
    world: Any, wire: Any, wrong: dict[str, Any]
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async with wire(await world.plane(), **wrong):
            pass
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_what_agents_say_of_their_capabilities_is_bounded_in_all(
    world: Any, wire: Any
) -> None:
    names = tuple(f"c{number}" for number in range(6))
    large = f'"{"x" * 60_000}"'
    details = tuple(pb.Capability(name=name, input_schema=large) for name in names)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async with wire(await world.plane(), capabilities=names, details=details):
            pass
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_nobody_has_more_agents_than_one_person_may_have(world: Any, wire: Any) -> None:
    member, plane = await world.member("alice"), await world.plane(max_agents_per_owner=2)

    async def register(name: str, key: str) -> None:
        async with wire(plane, name=name, key=key):
            pass

    for name in ("a", "b", "a", "b"):
        await register(name, world.key)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await register("c", world.key)
    assert "2 agents may be one person's" in str(caught.value.details())
    await register("c", member.key)


async def test_a_record_of_a_former_version_is_read(
    world: Any, wire: Any, http: httpx.AsyncClient
) -> None:
    async with wire(await world.plane()) as agent:
        async with world.database.transaction() as tx:
            await tx.execute(
                "UPDATE agents SET capability_details = $1",
                [{"name": "echo", "probe_seconds": None}],
            )
        shown = (await http.get(f"/api/agents/{agent.agent_id}")).json()
        assert shown["capability_details"][0]["probe_seconds"] == 0


async def test_an_agents_status_follows_its_stream_and_its_slots(
    world: Any, wire: Any, http: httpx.AsyncClient
) -> None:
    heard: list[str] = []

    async def hear(message: Any) -> None:
        event = msgspec.json.decode(message.data)
        if event["type"] == "agent.status.changed":
            heard.append(event["data"]["agent"]["status"])

    async with wire(await world.plane(), slots=1) as agent:
        await world.bus.listen(f"events.agent.{agent.agent_id}", hear)
        await agent.connect()

        async def has(status: str) -> bool:
            return await status_of(http, agent.agent_id) == status and status in heard[-1:]

        await world.eventually(lambda: has("online"))
        await world.submit("echo", 1)
        assigned = await agent.assigned()
        await world.eventually(lambda: has("busy"))
        await agent.say(assigned, agent.result(1))
        await world.eventually(lambda: has("online"))
        await agent.disconnect()
        await world.eventually(lambda: has("offline"))
    assert heard == ["online", "busy", "online", "offline"]
    shown = (await http.get(f"/api/agents/{agent.agent_id}")).json()
    assert shown["performance"]["tasks_completed"] == 1


async def test_an_agent_whose_heartbeat_stops_gets_nothing_new(
    world: Any, wire: Any, http: httpx.AsyncClient
) -> None:
    async with wire(await world.plane(heartbeat_seconds=0.2)) as agent:
        await agent.connect()
        agent.beating.cancel()

        async def is_unhealthy() -> bool:
            return await status_of(http, agent.agent_id) == "unhealthy"

        await world.eventually(is_unhealthy)
        await world.submit("echo", 1)
        with pytest.raises(TimeoutError):
            await agent.assigned(seconds=1)
        agent.beating = agent.guard.spawn("beat-again", agent._beat())
        await agent.assigned()


async def test_a_heartbeat_is_small(world: Any, wire: Any) -> None:
    async with wire(await world.plane()) as agent:
        message = pb.HeartbeatMessage(agent_id=agent.agent_id + "-" * 5_000)
        call = agent.stub.StreamHeartbeat(iter([message]), metadata=agent.metadata)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_foreign_private_agent_is_not_there(
    world: Any, wire: Any, http: httpx.AsyncClient
) -> None:
    alice, bob = await world.member("alice"), await world.member("bob")
    plane = await world.plane()
    async with (
        wire(plane, name="hers", key=alice.key) as hers,
        wire(plane, name="everybodys") as shared,
    ):
        await hers.connect()
        await shared.connect()
        as_bob = {"authorization": f"Bearer {bob.key}"}
        as_alice = {"authorization": f"Bearer {alice.key}"}
        path = f"/api/agents/{hers.agent_id}"
        assert (await http.get(path, headers=as_bob)).status_code == 404
        assert (await http.get(path, headers=as_alice)).status_code == 200
        listed = (await http.get("/api/agents", headers=as_bob)).json()["items"]
        assert [item["name"] for item in listed] == ["everybodys"]
        everything = (await http.get("/api/agents?limit=1")).json()
        assert [item["name"] for item in everything["items"]] == ["everybodys"]
        more = await http.get("/api/agents", params={"cursor": everything["next_cursor"]})
        assert [item["name"] for item in more.json()["items"]] == ["hers"]


async def test_an_enrolment_gives_one_key_for_one_name(
    world: Any, wire: Any, http: httpx.AsyncClient
) -> None:
    made = (await http.post("/api/agents/enrolments", json={"name": "remote"})).json()
    body = {"token": made["token"], "name": "remote"}
    assert (await http.post("/api/agents/enrol", json=body | {"name": "x"})).status_code == 403
    key = (await http.post("/api/agents/enrol", json=body)).json()["agent_key"]
    assert key.startswith("aok_")
    assert (await http.post("/api/agents/enrol", json=body)).status_code == 403, "single use"
    plane = await world.plane()
    async with wire(plane, name="remote", key=key) as agent:
        await agent.connect()
        task = await world.submit("echo", 1)
        await agent.say(await agent.assigned(), agent.result(1))
        await world.state(task.id, "succeeded")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async with wire(plane, name="another", key=key):
            pass
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    as_agent = {"authorization": f"Bearer {key}"}
    assert (await http.get("/api/agents", headers=as_agent)).status_code == 403


@pytest.mark.parametrize("name", ["", " ", " a", "a\n", "\x1b[31m", "n" * 101])
async def test_nobody_is_invited_by_a_name_that_no_agent_can_have(
    http: httpx.AsyncClient, name: str
) -> None:
    answer = await http.post("/api/agents/enrolments", json={"name": name})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "name")


async def test_only_an_agent_that_is_offline_can_be_forgotten(
    world: Any, wire: Any, http: httpx.AsyncClient
) -> None:
    async with wire(await world.plane()) as agent:
        await agent.connect()
        path = f"/api/agents/{agent.agent_id}"
        assert (await http.delete(path)).status_code == 409
        await agent.disconnect()

        async def is_offline() -> bool:
            return await status_of(http, agent.agent_id) == "offline"

        await world.eventually(is_offline)
        assert (await http.delete(path)).status_code == 204
        assert (await http.get(path)).status_code == 404


async def test_a_watcher_of_the_list_sees_changes(world: Any, wire: Any) -> None:
    plane = await world.plane()
    async with wire(plane, name="watched") as agent, wire(plane, name="watcher") as watcher:
        request = pb.ListAgentsRequest(watch=True, capabilities=["echo"])
        call = watcher.stub.ListAgents(request, metadata=watcher.metadata)
        async with asyncio.timeout(10):
            seen = {(await call.read()).name for _ in range(2)}
            assert seen == {"watched", "watcher"}
            await agent.connect()
            change = await call.read()
        assert (change.name, change.status) == ("watched", pb.AGENT_STATUS_ONLINE)
        call.cancel()


async def test_a_watcher_that_reads_too_slowly_is_told_so(
    world: Any, wire: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rpc, "WATCH_BYTES", 50_000)
    async with wire(await world.plane(), name="watched") as agent:
        await agent.connect()
        call = agent.stub.ListAgents(pb.ListAgentsRequest(watch=True), metadata=agent.metadata)
        await call.read()
        async with world.database.transaction() as tx:
            shown = await repository.get(tx, uuid.UUID(agent.agent_id))
        assert shown is not None
        await world.bus.publish_window([events.status_changed(shown)] * 2_000)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await asyncio.wait_for(_read_all(call), 10)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "too slowly" in str(caught.value.details())


async def _read_all(call: Any) -> None:
    while await call.read() is not grpc.aio.EOF:
        pass


async def test_live_metrics_tell_of_agents_and_of_the_whole(world: Any, wire: Any) -> None:
    async with wire(await world.plane()) as agent:
        await agent.connect()
        call = agent.stub.GetRealTimeMetrics(
            pb.MetricsRequest(interval_seconds=0.5), metadata=agent.metadata
        )
        async with asyncio.timeout(10):
            snapshot = await call.read()
            while not snapshot.system:
                snapshot = await call.read()
        call.cancel()
    assert [item.agent_id for item in snapshot.agents] == [agent.agent_id]
    assert {"agents_online", "tasks_queued", "cpu_usage"} <= set(snapshot.system)


async def test_agents_of_a_killed_control_plane_are_marked_as_gone(
    world: Any, wire: Any, http: httpx.AsyncClient
) -> None:
    plane = await world.plane()
    async with wire(plane) as agent:
        await agent.connect()

        async def is_online() -> bool:
            return await status_of(http, agent.agent_id) == "online"

        await world.eventually(is_online)
        await plane.kill()
    async with world.database.transaction() as tx:
        await tx.execute("UPDATE agents SET updated_at = now() - interval '1 minute'")
    await jobs.abandon_silent(world.database, world.bus)()
    assert await status_of(http, agent.agent_id) == "online", "its control plane may be alive"
    async with world.database.transaction() as tx:
        await tx.execute("UPDATE control_planes SET seen_at = now() - interval '1 minute'")
    await jobs.abandon_silent(world.database, world.bus)()
    assert await status_of(http, agent.agent_id) == "offline"


async def test_an_agent_shows_its_key_again_when_its_owners_rights_change(
    world: Any, wire: Any
) -> None:
    member = await world.member("alice")
    async with wire(await world.plane(), key=member.key) as agent:
        await agent.connect()
        async with world.database.transaction() as tx:
            await tx.execute("UPDATE users_v2 SET status = 'disabled' WHERE username = 'alice'")
        await world.bus.announce(REVOKED, str(member.actor.user_id).encode())
        await agent.ended()
        with pytest.raises(TimeoutError):
            await agent.connect(seconds=0.5)
        assert (await agent.ended()).code() is grpc.StatusCode.UNAUTHENTICATED


async def test_who_enrols_an_agent_again_ends_the_stream_of_the_former_key(
    world: Any, wire: Any, http: httpx.AsyncClient
) -> None:
    plane = await world.plane()
    former_key = await enrolled(http, "remote")
    async with wire(plane, name="remote", key=former_key) as former, wire(plane) as other:
        await former.connect()
        await other.connect()
        newer = await enrolled(http, "remote")
        await former.ended()
        with pytest.raises(TimeoutError):
            await former.connect(seconds=0.5)
        assert (await former.ended()).code() is grpc.StatusCode.UNAUTHENTICATED
        async with wire(plane, name="remote", key=newer, instance_id="another") as agent:
            await agent.connect()
        assert other.error is None, "only that agent is meant"


async def test_a_stream_of_an_agent_that_was_taken_for_offline_ends_when_it_is_forgotten(
    world: Any, wire: Any, http: httpx.AsyncClient
) -> None:
    key = await enrolled(http, "remote")
    async with wire(await world.plane(), name="remote", key=key) as agent:
        await agent.connect()
        await world.eventually(lambda: _is_online(http, agent))
        async with world.database.transaction() as tx:
            await tx.execute("UPDATE agents SET status = 'offline'")
        assert (await http.delete(f"/api/agents/{agent.agent_id}")).status_code == 204
        await agent.ended()
        with pytest.raises(TimeoutError):
            await agent.connect(seconds=0.5)
        assert (await agent.ended()).code() is grpc.StatusCode.UNAUTHENTICATED


async def _is_online(http: httpx.AsyncClient, agent: Any) -> bool:
    return await status_of(http, agent.agent_id) == "online"


async def test_prometheus_sees_how_many_agents_are_in_which_state(world: Any, wire: Any) -> None:
    async with wire(await world.plane()) as agent:
        await agent.connect()

        async def is_shown() -> bool:
            shown = telemetry.render_metrics().decode()
            return 'ai_orchestra_agents_by_status{status="online"} 1.0' in shown

        await world.eventually(is_shown)
