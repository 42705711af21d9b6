"""Several control planes on one machine: none is special, and what runs does not notice a death."""

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from e2e.conftest import Starter
from e2e.product import Product, wait_until

AGENTS, TASKS = 20, 40
ATTACH_SECONDS = 30.0
STARTS = 3
FLEET = """
import asyncio, pathlib, sys

from orchestra_sdk import Agent, Context

gate = pathlib.Path({gate!r})


def make(number: int) -> Agent:
    agent = Agent(f"worker-{{number}}", slots=4)

    @agent.task("hold")
    async def hold(ctx: Context, input):
        while not gate.exists():
            await ctx.progress(message="holding")
            await asyncio.sleep(0.2)
        return input

    return agent


async def main() -> None:
    async with asyncio.TaskGroup() as group:
        for number in range({count}):
            group.create_task(make(number).serve())


asyncio.run(main())
"""


@pytest.fixture(scope="module")
def product(start_product: Starter) -> Product:
    return start_product(control_planes="2", local_model="false")


@pytest.fixture
def gate(product: Product, tmp_path: Path) -> Generator[Path]:
    """Twenty agents are connected; their tasks end when this file is there.

    Who connects before the gateway knows both control planes stays at the first: they come again.
    """
    gate, program = tmp_path / "gate", tmp_path / "fleet.py"
    program.write_text(FLEET.format(gate=str(gate), count=AGENTS))
    for _ in range(STARTS):
        with _running(product, program):
            wait_until(lambda: _online(product) == AGENTS, seconds=60, what="all are online")
            if len(set(_places(product).values())) == 2:
                yield gate
                return
        wait_until(lambda: _online(product) == 0, seconds=60, what="all have left")
    pytest.fail("the agents never met both control planes")


@contextmanager
def _running(product: Product, program: Path) -> Generator[None]:
    with (program.parent / "fleet.log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, str(program)],
            cwd=program.parent,
            env=product.environment(),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield
    finally:
        process.kill()
        process.wait(5)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("how", ["kill", "ask_to_stop"])
def test_agents_move_and_their_tasks_go_on_without_a_new_attempt(
    product: Product, gate: Path, how: str
) -> None:
    tasks = [_submit(product, f"{how}-{number}") for number in range(TASKS)]
    wait_until(
        lambda: all(_task(product, task)["state"] == "running" for task in tasks),
        seconds=30,
        what="all tasks run",
    )
    before = _places(product)
    victim = "control-plane-1"
    former = product.pid(victim)
    getattr(product, how)(victim)

    def all_moved() -> bool:
        now = _places(product)
        left = set(now.values()) & set(before.values())
        return len(left) <= 1 and len(now) == _online(product) == AGENTS

    wait_until(all_moved, seconds=ATTACH_SECONDS, what="all agents are attached again")
    product.wait_restarted(victim, former)
    gate.touch()
    wait_until(
        lambda: all(_task(product, task)["state"] == "succeeded" for task in tasks),
        seconds=60,
        what="all tasks are done",
    )
    assert {_task(product, task)["attempt"] for task in tasks} == {1}


def _submit(product: Product, key: str) -> str:
    with product.client() as client:
        made = client.post(
            "/api/tasks",
            # With keys, so that half of them go from one control plane to the other.
            json={"capability": "hold", "input": key, "affinity_key": key},
            headers={"idempotency-key": key},
        )
    return str(made.raise_for_status().json()["id"])


def _task(product: Product, task_id: str) -> dict[str, Any]:
    with product.client() as client:
        return client.get(f"/api/tasks/{task_id}").raise_for_status().json()


def _agents(product: Product) -> list[dict[str, Any]]:
    with product.client() as client:
        answer = client.get("/api/agents", params={"capability": "hold", "limit": "100"})
    return answer.raise_for_status().json()["items"]


def _online(product: Product) -> int:
    return sum(agent["status"] in {"online", "busy"} for agent in _agents(product))


def _places(product: Product) -> dict[str, str]:
    return {agent["name"]: agent["control_plane"] for agent in _agents(product)}
