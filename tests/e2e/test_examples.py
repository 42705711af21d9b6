"""The worked examples run as their README says, and survive kill -9 with every effect once."""

import json
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from e2e.examples import AgentProcess, agent_of, copy_examples, effects, finished, get, type_in
from e2e.product import Product, wait_until
from e2e.snippets import snippets

SECONDS = 150.0
# The agent dies in every test; of the others three are drawn.
OTHERS = ("control-plane", "worker", "api", "gateway", "nats", "postgres", "model")
TOLD = snippets("examples/README.md")


@pytest.fixture
def shelf(product: Product, tmp_path: Path) -> Path:
    """A copy of the examples, with a ledger of its own."""
    return copy_examples(tmp_path / "examples", product)


def _agent(product: Product, shelf: Path, name: str, capability: str) -> Any:
    """The agent as the README starts it."""
    file = TOLD[f"{name}-run"].text.split()[-1]
    return agent_of(product, shelf / file, capability=capability)


def test_the_crew_files_its_report(product: Product, shelf: Path) -> None:
    with _agent(product, shelf, "research", "research"):
        report = json.loads(type_in(shelf, TOLD["research-submit"].text))
    assert len(report["facts"]) == 3
    assert report["text"]
    _assert_the_crew_did_it_once(shelf)


def _assert_the_crew_did_it_once(shelf: Path) -> None:
    done = effects(shelf)
    assert done[-1] == "report on how bees find flowers"
    assert len([what for what in done if what.startswith("fact on ")]) == 3
    assert len(done) == 4


@pytest.mark.timeout(240)
def test_two_hundred_documents_are_summarised(product: Product, shelf: Path) -> None:
    with _agent(product, shelf, "fan-out", "summarise_all"):
        summaries = json.loads(type_in(shelf, TOLD["fan-out-submit"].text))
    assert (summaries["documents"], summaries["failed"]) == (200, 0)
    _assert_filed_once(shelf, 200)


def _assert_filed_once(shelf: Path, documents: int) -> None:
    filed = [f"summary of document {number}" for number in range(1, documents + 1)]
    assert sorted(effects(shelf)) == sorted(filed)


def test_a_payment_waits_for_its_approval(product: Product, shelf: Path) -> None:
    with _agent(product, shelf, "approval", "pay_invoice") as agent:
        task_id = type_in(shelf, TOLD["approval-submit"].text).strip()
        asked = _await_question(product, task_id)
        agent.kill()  # nothing of the task is there while it waits
        assert asked["data"]["amount"] == 12.5
        assert effects(shelf) == ["reserve 12.50 to Ada"]
        type_in(shelf, TOLD["approval-answer"].text)
        agent.start()
        task = _await_end(product, task_id)
    assert task["result"]["state"] == "paid"
    assert effects(shelf) == ["reserve 12.50 to Ada", "pay 12.50 to Ada"]


def _await_question(product: Product, task_id: str) -> dict[str, Any]:
    path = f"/api/approvals?task_id={task_id}&state=open"
    found: list[dict[str, Any]] = []

    def asked() -> bool:
        page: dict[str, Any] = get(product, path) or {"items": []}
        found.extend(page["items"])
        return bool(found)

    wait_until(asked, seconds=SECONDS, what="the task asks")
    return found[0]


def _await_end(product: Product, task_id: str) -> dict[str, Any]:
    ends: list[dict[str, Any]] = []

    def over() -> bool:
        ends.extend([task] if (task := finished(product, task_id)) else [])
        return bool(ends)

    wait_until(over, seconds=SECONDS, what=f"the task is over: {product.log()}")
    return ends[0]


@dataclass
class Plugs:
    """Kills one program after the other, in an order and at moments that a seed chooses."""

    product: Product
    agent: AgentProcess
    seed: int
    chance: random.Random = field(init=False)
    former: dict[str, int] = field(default_factory=dict[str, int])

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)  # noqa: S311 - to be repeated, not to be secret

    def pull_all(self, progress: Callable[[], int], *, most: int) -> None:
        """Kill each victim once `progress` has come to a number below `most`."""
        victims = ["agent", *self.chance.sample(OTHERS, 3)]
        self.chance.shuffle(victims)
        points = sorted(self.chance.randrange(most) for _ in victims)
        for point, victim in zip(points, victims, strict=True):
            told = f"{point} effects are done, to kill {victim} (seed {self.seed})"
            wait_until(lambda point=point: progress() >= point, seconds=SECONDS, what=told)
            # Not a wait for anything: the moment itself is what the seed chooses.
            threading.Event().wait(self.chance.random())
            self.pull(victim)

    def pull(self, victim: str) -> None:
        if victim == "agent":
            self.agent.kill()
            self.agent.start()
            return
        self.former[victim] = self.product.pid(victim)
        self.product.kill(victim)

    def wait_back(self) -> None:
        for victim, pid in self.former.items():
            self.product.wait_restarted(victim, pid)


def _submit(product: Product, capability: str, given: Any) -> str:
    wait_until(lambda: get(product, "/api/agents"), seconds=60, what="the instance answers")
    done = product.cli("task", "submit", capability, "--input", json.dumps(given))
    return done.stdout.strip()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_crew_survives(product: Product, shelf: Path, seed: int) -> None:
    with _agent(product, shelf, "research", "research") as agent:
        plugs = Plugs(product, agent, seed)
        task_id = _submit(product, "research", "how bees find flowers")
        plugs.pull_all(lambda: len(effects(shelf)), most=4)
        task = _await_end(product, task_id)
    plugs.wait_back()
    assert task["state"] == "succeeded", task["error"]
    _assert_the_crew_did_it_once(shelf)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [4, 5])
def test_the_fan_out_survives(product: Product, shelf: Path, seed: int) -> None:
    documents = 30
    with _agent(product, shelf, "fan-out", "summarise_all") as agent:
        plugs = Plugs(product, agent, seed)
        task_id = _submit(product, "summarise_all", {"documents": documents})
        plugs.pull_all(lambda: len(effects(shelf)), most=documents)
        task = _await_end(product, task_id)
    plugs.wait_back()
    assert task["state"] == "succeeded", task["error"]
    assert task["result"]["failed"] == 0
    _assert_filed_once(shelf, documents)


def _approve(product: Product, asked: dict[str, Any]) -> None:
    """As somebody does it who finds the instance just restarted: again, until it is done."""

    def approved() -> bool:
        said = ("approvals", "approve", asked["id"], "--hash", asked["data_hash"])
        product.cli(*said, check=False)
        found = get(product, f"/api/approvals/{asked['id']}")
        return found is not None and found["state"] == "approved"

    wait_until(approved, seconds=60, what="the answer is taken")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [6, 7])
def test_the_payment_survives(product: Product, shelf: Path, seed: int) -> None:
    with _agent(product, shelf, "approval", "pay_invoice") as agent:
        plugs = Plugs(product, agent, seed)
        task_id = _submit(product, "pay_invoice", {"payee": "Ada", "amount": 12.5})
        plugs.pull_all(lambda: len(effects(shelf)), most=2)
        asked = _await_question(product, task_id)
        plugs.wait_back()
        _approve(product, asked)
        plugs.former.clear()
        for victim in ("agent", plugs.chance.choice(OTHERS)):
            plugs.pull(victim)
        task = _await_end(product, task_id)
    plugs.wait_back()
    assert task["result"]["state"] == "paid", task["error"]
    assert effects(shelf) == ["reserve 12.50 to Ada", "pay 12.50 to Ada"]
