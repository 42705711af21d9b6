"""An agent says whether a capability works, in words when it does not."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from orchestra_sdk import Agent, Context
from orchestra_sdk.testing import ControlPlane, serving

pytestmark = pytest.mark.anyio


def probed(probe: Callable[[], Any]) -> Agent:
    agent = Agent("probed")

    @agent.task("work", probe=probe, probe_seconds=5)
    async def work(ctx: Context) -> None: ...

    return agent


async def fine() -> None: ...


async def broken() -> None:
    raise ConnectionError("the printer is on fire")


@pytest.mark.parametrize(
    ("probe", "problem"),
    [
        (fine, ""),
        (lambda: True, ""),
        (lambda: False, "the probe says that it does not work"),
        (broken, "ConnectionError: the printer is on fire"),
    ],
)
async def test_a_probe_answers(plane: ControlPlane, probe: Callable[[], Any], problem: str) -> None:
    async with serving(probed(probe), plane) as agent:
        result = await plane.probe(agent, "work")
        asked = agent.registration.capability_details[0].probe_seconds
    assert (result.healthy, result.message) == (not problem, problem)
    assert (asked, result.seconds >= 0) == (5, True)


async def test_a_probe_that_hangs_is_unhealthy_in_time(plane: ControlPlane) -> None:
    onward = threading.Event()
    async with serving(probed(lambda: onward.wait(10)), plane) as agent:
        result = await plane.probe(agent, "work", timeout_seconds=0.05)
        assert result.message == "the probe had no answer within 0.05 s"
        result = await plane.probe(agent, "work")
        assert result.message == "the probe before this one still runs"
        onward.set()


async def test_what_has_no_probe_is_not_probed(plane: ControlPlane) -> None:
    agent = Agent("plain")

    @agent.task("work")
    async def work(ctx: Context) -> None: ...

    async with serving(agent, plane) as connected:
        assert connected.registration.capability_details[0].probe_seconds == 0
        result = await plane.probe(connected, "work")
        answered = await plane.probe(connected, "")
    assert "has no probe" in result.message
    assert answered.healthy


def test_a_probe_has_an_interval() -> None:
    with pytest.raises(ValueError, match="more than 0"):
        Agent("probed").task("work", probe=fine, probe_seconds=0)
