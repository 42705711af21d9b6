"""An agent that somebody wrote takes tasks, at once and by the thousand, and nothing gets lost."""

import json
from collections import Counter
from pathlib import Path

import pytest
from e2e.agents import effects, running, write_echo
from e2e.product import Product, wait_until

TASKS = 1000


def test_a_task_is_submitted_and_followed_from_the_command_line(
    product: Product, tmp_path: Path
) -> None:
    agent = write_echo(tmp_path / "elsewhere")
    with running(product, agent, capability="echo"):
        given = '{"text":"hi"}'
        done = product.cli("task", "submit", "echo", "--input", given, "--follow")
    assert json.loads(done.stdout) == {"text": "hi"}


def test_the_same_idempotency_key_runs_once(product: Product, tmp_path: Path) -> None:
    agent = write_echo(tmp_path, capability="once")
    submit = ("task", "submit", "once", "--idempotency-key", "k-1")
    with running(product, agent, capability="once"):
        first, second = (product.cli(*submit).stdout.strip() for _ in range(2))
        product.cli("task", "follow", first)
    assert first == second
    assert len(effects(agent)) == 1


def test_a_thousand_tasks_at_once_complete_exactly_once(product: Product, tmp_path: Path) -> None:
    agent = write_echo(tmp_path, capability="bulk")
    with running(product, agent, capability="bulk"):
        done = product.cli(
            "task", "submit", "bulk", "--count", str(TASKS), "--follow", "--json", timeout=120
        )
    assert json.loads(done.stdout) == {"submitted": TASKS, "succeeded": TASKS}
    assert len(effects(agent)) == TASKS
    assert len(set(effects(agent))) == TASKS


@pytest.mark.timeout(240)
@pytest.mark.parametrize("backlog", [0, 256])
def test_killing_the_agent_in_the_middle_of_a_thousand_tasks_loses_none(
    product: Product, tmp_path: Path, backlog: int
) -> None:
    capability = f"killed-{backlog}"
    agent = write_echo(tmp_path, capability=capability, slots=16, backlog=backlog)
    with running(product, agent, capability=capability) as process:
        submitted = product.cli("task", "submit", capability, "--count", str(TASKS))
        wait_until(lambda: len(effects(agent)) > 50, seconds=60, what="the agent is at work")
        process.kill()
        process.wait(5)
    task_ids = submitted.stdout.split()
    with running(product, agent, capability=capability):
        states = _await_end(product, capability)
    assert states == {"succeeded": TASKS}
    assert len(task_ids) == len(set(task_ids)) == TASKS
    # What the agent had when it died runs again, once, and nothing else does.
    repeated = len(effects(agent)) - len(set(effects(agent)))
    assert len(set(effects(agent))) == TASKS
    assert repeated <= 16 + backlog


def _await_end(product: Product, capability: str) -> dict[str, int]:
    states: Counter[str] = Counter()

    def ended() -> bool:
        states.clear()
        listed = product.cli(
            "task", "list", "--capability", capability, "--limit", "2000", "--json"
        )
        states.update(task["state"] for task in json.loads(listed.stdout))
        return not states["queued"] and not states["running"]

    wait_until(ended, seconds=120, what=f"all tasks are at their end: {states}")
    return {state: count for state, count in states.items() if count}
