"""Agents that were let in and have not come yet, and whose agents are shown."""

from typing import Any

import httpx
import pytest
from orchestra.features.agents import rest

pytestmark = pytest.mark.anyio


async def let_in(http: httpx.AsyncClient, name: str) -> httpx.Response:
    made = (await http.post("/api/agents/enrolments", json={"name": name})).json()
    return await http.post("/api/agents/enrol", json={"token": made["token"], "name": name})


async def listed(http: httpx.AsyncClient, **query: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await http.get("/api/agents", params=query)).json()["items"]
    return items


async def test_an_agent_that_has_a_key_and_never_came_is_listed(
    world: Any, wire: Any, http: httpx.AsyncClient
) -> None:
    key = (await let_in(http, "remote")).json()["agent_key"]
    (agent,) = await listed(http)
    assert (agent["name"], agent["status"], agent["slots"]) == ("remote", "never_connected", 0)
    assert agent["reason"].startswith(f"enrolled by {agent['owner_name']} at ")
    assert agent["reason"].endswith(" UTC, has not connected yet")
    assert await listed(http, status="never_connected") == [agent]
    assert await listed(http, status="offline") == []
    async with wire(await world.plane(), name="remote", key=key) as came:
        assert came.agent_id == agent["id"]
        await came.connect()
        (agent,) = await listed(http)
        assert (agent["status"], agent["reason"], agent["slots"]) == ("online", "", 4)
        await came.disconnect()

        async def is_offline() -> bool:
            return bool(await listed(http, status="offline"))

        await world.eventually(is_offline)
    await let_in(http, "remote")
    (agent,) = await listed(http)
    assert agent["status"] == "offline", "it has been here"


async def test_who_is_forgotten_before_it_came_cannot_come(
    world: Any, wire: Any, http: httpx.AsyncClient
) -> None:
    key = (await let_in(http, "remote")).json()["agent_key"]
    (agent,) = await listed(http)
    assert (await http.delete(f"/api/agents/{agent['id']}")).status_code == 204
    assert await listed(http) == []
    with pytest.raises(Exception, match="not valid; enrol the agent again"):
        async with wire(await world.plane(), name="remote", key=key):
            pass


async def test_who_was_let_in_counts_as_one_of_its_owner_s_agents(world: Any) -> None:
    few = world.settings.with_values("test", max_agents_per_owner=1)
    async with world.door(rest.routes, settings=few)() as http:
        assert (await let_in(http, "one")).status_code == 200
        assert (await let_in(http, "one")).status_code == 200, "it is the same"
        refused = await let_in(http, "two")
        assert (refused.status_code, refused.json()["code"]) == (409, "too_many_agents")


async def test_administrators_read_whose_agents_they_are_and_others_of_their_own(
    world: Any, wire: Any, http: httpx.AsyncClient
) -> None:
    alice, plane = await world.member("alice"), await world.plane()
    async with (
        wire(plane, name="hers", key=alice.key) as hers,
        wire(plane, name="shared"),
        world.door(rest.routes)(alice.key) as her_http,
    ):
        owners = {agent["name"]: agent["owner_name"] for agent in await listed(http)}
        assert owners["hers"] == "alice"
        assert owners["shared"] not in (None, "alice")
        hers_seen = {agent["name"]: agent["owner_name"] for agent in await listed(her_http)}
        assert hers_seen == {"hers": "alice", "shared": None}
        shown = (await http.get(f"/api/agents/{hers.agent_id}")).json()
        assert (shown["owner_name"], shown["status"]) == ("alice", "never_connected")
