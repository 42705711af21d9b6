"""Each of the known patterns runs on the local model, by its example."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from e2e.examples import agent_of, copy_examples, type_in
from e2e.product import Product

Check = Callable[[Any], bool]
PATTERNS: dict[str, tuple[str, str, Check]] = {
    "sequential": ("write_note", "tea", lambda text: len(text) > 3),
    "concurrent": (
        "review_plan",
        "to sail to Greenland",
        lambda text: "Good: " in text and "Bad: " in text,
    ),
    "router": (
        "help",
        "my bill is too high",
        lambda text: text.split(":")[0] in ("Billing", "Technical", "General"),
    ),
    "hand_off": (
        "serve_customer",
        "my teapot is broken",
        lambda text: text.split(":")[0] in ("Complaints", "Refunds"),
    ),
    "group_chat": (
        "brainstorm",
        "a better umbrella",
        lambda said: [item["by"] for item in said] == ["poet", "engineer", "editor", "poet"],
    ),
    "supervisor": ("plan_day", "Lisbon", lambda text: len(text) > 3),
}


@pytest.fixture
def shelf(product: Product, tmp_path: Path) -> Path:
    return copy_examples(tmp_path / "examples", product)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_example_of_a_pattern_runs(product: Product, shelf: Path, pattern: str) -> None:
    capability, given, is_right = PATTERNS[pattern]
    file = shelf / f"pattern_{pattern}.py"
    with agent_of(product, file, capability=capability):
        submit = f"orchestra task submit {capability} --input '{json.dumps(given)}' --follow"
        result = json.loads(type_in(shelf, submit))
    assert is_right(result), result


def test_the_readme_names_every_example_of_a_pattern(shelf: Path) -> None:
    readme = (shelf / "README.md").read_text()
    for pattern, (capability, given, _) in PATTERNS.items():
        line = f"| `orchestra agent run pattern_{pattern}.py` |"
        submit = f"`orchestra task submit {capability} --input '{json.dumps(given)}' --follow` |"
        assert f"{line} {submit}" in readme
    assert len(list(shelf.glob("pattern_*.py"))) == len(PATTERNS)
