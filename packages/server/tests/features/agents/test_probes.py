"""A capability's own check: asked for, shown, counted, and a way out of quarantine."""

from typing import Any

import grpc
import httpx
import pytest
from orchestra_protocol import agent_pb2 as pb
from orchestra_sdk import Agent

pytestmark = pytest.mark.anyio


async def shown(http: httpx.AsyncClient) -> dict[str, Any]:
    (agent,) = (await http.get("/api/agents")).json()["items"]
    return agent


async def test_an_agent_whose_check_fails_is_set_aside_until_the_check_is_well_again(
    world: Any, http: httpx.AsyncClient
) -> None:
    works = False
    agent = Agent("checked", slots=2)

    async def check() -> bool:
        return works

    @agent.task("echo", probe=check, probe_seconds=1.0)
    async def echo(ctx: Any, value: int) -> int:
        return value

    async def has(status: str) -> bool:
        return (await shown(http))["status"] == status

    plane = await world.plane(quarantine_failures=2, quarantine_seconds=1.0)
    async with world.sdk(agent, plane.address):
        await world.eventually(lambda: has("quarantined"))
        told = await shown(http)
        assert "probe_failed: echo: the probe says that it does not work" in told["reason"]
        (probe,) = told["health"]["probes"]
        assert (probe["capability"], probe["healthy"]) == ("echo", False)
        works = True
        await world.eventually(lambda: has("online"), 15)
        task = await world.submit("echo", 1)
        await world.state(task.id, "succeeded")


async def test_a_stream_that_answers_is_measured(world: Any) -> None:
    agent = Agent("measured")

    @agent.task("echo")
    async def echo(ctx: Any, value: int) -> int:
        return value

    plane = await world.plane()
    async with world.sdk(agent, plane.address):
        await world.eventually(lambda: _is_measured(plane), 15)


async def test_an_agent_that_cannot_be_probed_is_not_blamed_for_it(world: Any, wire: Any) -> None:
    plane = await world.plane(quarantine_failures=1)
    async with wire(plane) as agent:
        await agent.connect()
        await agent.next(pb.TASK_TYPE_PROBE, seconds=15)
        stray = pb.ProbeResult(id=4711, healthy=False)
        await agent.send(pb.TASK_TYPE_PROBE_RESULT, stray)
        task = await world.submit("echo", 1)
        await agent.say(await agent.assigned(), agent.result(1))
        await world.state(task.id, "succeeded")
        (here,) = list(plane.it.plane.registry)
        assert here.standing.quarantine is None


async def test_what_an_agent_says_of_its_check_is_cut(world: Any, wire: Any) -> None:
    plane = await world.plane()
    details = (pb.Capability(name="echo", probe_seconds=1),)
    async with wire(plane, details=details) as agent:
        await agent.connect()
        probe = pb.Probe()
        while probe.capability != "echo":
            (await agent.next(pb.TASK_TYPE_PROBE, seconds=15)).payload.Unpack(probe)
        result = pb.ProbeResult(id=probe.id, healthy=True, message="y\0" * 100_000)
        await agent.send(pb.TASK_TYPE_PROBE_RESULT, result)
        (here,) = list(plane.it.plane.registry)

        async def said() -> Any:
            return [item.message for item in here.health.probes]

        (message,) = await world.eventually(said)
        assert len(message) <= 1_000
        assert "\0" not in message


async def test_garbage_instead_of_an_answer_ends_the_stream_with_words(
    world: Any, wire: Any
) -> None:
    async with wire(await world.plane()) as agent:
        await agent.connect()
        await agent.send(pb.TASK_TYPE_PROBE_RESULT, pb.Welcome())
        assert (await agent.ended()).code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("wrong", [{"slots": -9}, {"backlog": -1}, {"instance_id": "x" * 101}])
async def test_a_hello_that_cannot_be_is_refused(world: Any, wire: Any, wrong: Any) -> None:
    async with wire(await world.plane()) as agent:
        for name, value in wrong.items():
            setattr(agent, name, value)
        with pytest.raises(TimeoutError):
            await agent.connect(seconds=1)
        assert (await agent.ended()).code() is grpc.StatusCode.INVALID_ARGUMENT


async def _is_measured(plane: Any) -> bool:
    return all(item.health.stream_seconds is not None for item in plane.it.plane.registry)
