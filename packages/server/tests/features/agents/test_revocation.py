"""Streams end with the rights of who opened them, also when NATS has not carried the word."""

import contextlib
from typing import Any

import grpc
import grpc.aio
import httpx
import pytest
from orchestra.features.identity import REVOKED
from orchestra.features.tasks import NewTask
from orchestra.features.tasks.service.streams import upkeep
from orchestra_protocol import agent_pb2 as pb

pytestmark = pytest.mark.anyio

WISH = NewTask(input=1, capability="echo")
ENDS = {
    "revoked": "UPDATE api_keys SET revoked_at = now() WHERE user_id = $1",
    "expired": "UPDATE api_keys SET expires_at = now() - interval '1 s' WHERE user_id = $1",
    "removed": "DELETE FROM api_keys WHERE user_id = $1",
    "blocked": "UPDATE users_v2 SET status = 'disabled' WHERE id = $1",
    "demoted": "UPDATE users_v2 SET role = 'viewer' WHERE id = $1",
}


async def enrolled(http: httpx.AsyncClient, name: str) -> str:
    """The key of an agent that has just been let in."""
    made = (await http.post("/api/agents/enrolments", json={"name": name})).json()
    body = {"token": made["token"], "name": name}
    return str((await http.post("/api/agents/enrol", json=body)).json()["agent_key"])


async def happens(world: Any, sql: str, *about: Any) -> None:
    """As if another process had done it, and nobody had heard."""
    async with world.database.transaction() as tx:
        await tx.execute(sql, *about)


async def end_of(call: Any) -> grpc.StatusCode:
    """How a stream ends, whatever it still says."""
    with contextlib.suppress(grpc.aio.AioRpcError):
        while await call.read() is not grpc.aio.EOF:
            pass
    return await call.code()


@pytest.fixture
async def plane(world: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(upkeep, "CHECK_SECONDS", 0.1)
    monkeypatch.setattr(upkeep, "CHECKED_AT_ONCE", 1)
    return await world.plane()


async def test_an_agents_key_that_was_revoked_unheard_ends_its_stream_all_the_same(
    world: Any, plane: Any, wire: Any, http: httpx.AsyncClient
) -> None:
    keys = {name: await enrolled(http, name) for name in ("one", "two")}
    async with (
        wire(plane, name="one", key=keys["one"]) as one,
        wire(plane, name="two", key=keys["two"]) as two,
    ):
        await one.connect()
        await two.connect()
        await happens(world, "UPDATE agent_keys SET revoked_at = now() WHERE name = 'one'")
        assert (await one.ended()).code() is grpc.StatusCode.UNAVAILABLE
        assert two.error is None


@pytest.mark.parametrize("sql", ENDS.values(), ids=ENDS)
async def test_all_agents_of_a_persons_key_go_with_it(
    world: Any, plane: Any, wire: Any, sql: str
) -> None:
    alice = await world.member("alice")
    async with (
        wire(plane, name="one", key=alice.key) as one,
        wire(plane, name="two", key=alice.key) as two,
        wire(plane, name="other") as other,
    ):
        for agent in (one, two, other):
            await agent.connect()
        await happens(world, sql, alice.actor.user_id)
        for agent in (one, two):
            error = await agent.ended()
            assert error.code() is grpc.StatusCode.UNAVAILABLE
            assert error.details() == upkeep.ANEW
        assert other.error is None


@pytest.mark.parametrize("is_heard", [True, False], ids=["heard", "unheard"])
async def test_who_only_watches_is_shown_nothing_more(
    world: Any, wire: Any, monkeypatch: pytest.MonkeyPatch, is_heard: bool
) -> None:
    if not is_heard:
        monkeypatch.setattr(upkeep, "CHECK_SECONDS", 0.1)
    alice = await world.member("alice")
    task = await world.submitter.submit(alice.actor, WISH)
    async with wire(await world.plane()) as agent:
        mine = (("authorization", f"Bearer {alice.key}"),)
        calls = [
            agent.stub.ListAgents(pb.ListAgentsRequest(watch=True), metadata=mine),
            agent.stub.GetRealTimeMetrics(pb.MetricsRequest(interval_seconds=60), metadata=mine),
            agent.stub.AssignTask(pb.AssignTaskRequest(task_id=str(task.id)), metadata=mine),
        ]
        for call in calls:
            await call.read()
        others = agent.stub.GetRealTimeMetrics(
            pb.MetricsRequest(interval_seconds=0.5), metadata=agent.metadata
        )
        await happens(world, ENDS["revoked"], alice.actor.user_id)
        if is_heard:
            await world.bus.announce(REVOKED, str(alice.actor.user_id).encode())
        for call in calls:
            assert await end_of(call) is grpc.StatusCode.UNAVAILABLE
        await others.read()
        assert not others.done()
        others.cancel()


async def test_a_key_that_still_holds_keeps_its_streams(world: Any, plane: Any, wire: Any) -> None:
    alice, bob = await world.member("alice"), await world.member("bob")
    async with wire(plane, key=alice.key) as hers, wire(plane, name="his", key=bob.key) as his:
        await hers.connect()
        await his.connect()
        await happens(world, ENDS["revoked"], bob.actor.user_id)
        await his.ended()
        await world.submitter.submit(alice.actor, WISH)
        await hers.assigned()
        assert hers.error is None
