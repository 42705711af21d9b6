"""The README's agent works as it stands there."""

import re
from pathlib import Path
from typing import Any

import pytest
from orchestra_sdk import load
from orchestra_sdk.testing import ControlPlane, serving

pytestmark = pytest.mark.anyio

README = Path(__file__).parents[1] / "README.md"


async def test_the_first_agent_of_the_readme_answers(plane: ControlPlane, tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    file = tmp_path / "first_agent.py"
    file.write_text(blocks[0])
    async with serving(load(file), plane):
        task = await plane.submit("shout", {"text": "hello"})
        assert await task.result() == {"text": "HELLO"}
    assert task.text == "HELLO"


async def test_the_test_of_the_readme_passes(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "first_agent.py").write_text(blocks[0])
    names: dict[str, Any] = {"agent": load(tmp_path / "first_agent.py")}
    body = re.sub(r"^from first_agent import agent$", "", blocks[1], flags=re.MULTILINE)
    exec(compile(body, str(README), "exec"), names)  # noqa: S102 - our own README
    await names["test_shout"]()
