"""What the documents tell people to type works when it is typed."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from e2e.agents import is_online
from e2e.product import BIN, ROOT, Product, wait_until
from e2e.snippets import Block, blocks_of, documents, sandbox, snippets

# Blocks without a name, and why no test types them here.
ELSEWHERE = {
    "make up": "the tests start the product in their own way; make test is what runs them",
    "orchestra agents enrol-token": "the SDK's tests enrol over TLS",
    "pip install ./packages/protocol": "the SDK's tests enrol over TLS",
    "source .venv/bin/activate": "test_a_question_is_answered_in_the_terminal",
}
SECONDS = 120


@pytest.fixture
def reader(product: Product, tmp_path: Path) -> Path:
    """Where somebody who reads the documents stands."""
    return sandbox(tmp_path / "reader", product.data_dir)


def _environment() -> dict[str, str]:
    """A shell with the virtual environment; no variable names the instance."""
    clean = {name: text for name, text in os.environ.items() if "ORCHESTRA" not in name}
    return {**clean, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}


def _text(block: Block, product: Product) -> str:
    """What the block says, for the port of this instance."""
    port = str(product.http_port)
    return re.sub(r"(localhost|127\.0\.0\.1):8080", rf"\g<1>:{port}", block.text)


def _type(block: Block, product: Product, directory: Path, *arguments: str) -> str:
    """Types a block into a shell, or into a Python; returns what it prints."""
    shell = ["bash", "-euo", "pipefail", "-c", _text(block, product)]
    program = [sys.executable, "-c", _text(block, product), *arguments]
    done = subprocess.run(
        program if block.language == "python" else shell,
        cwd=directory,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{block.text}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@contextmanager
def _typed_in_another_terminal(
    block: Block, product: Product, directory: Path, capability: str
) -> Generator[None]:
    with (directory / "terminal.log").open("w") as log:
        process = subprocess.Popen(
            ["bash", "-c", f"exec {_text(block, product).strip()}"],
            cwd=directory,
            env=_environment(),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(lambda: is_online(product, capability), seconds=30, what="the agent is online")
        yield
    finally:
        process.terminate()
        process.wait(15)


@pytest.mark.parametrize("document", ["README.md", "README.zh-CN.md"])
def test_every_block_of_the_readme_has_a_test(document: str) -> None:
    unnamed = [block.text for block in blocks_of(document) if block.name is None]
    forgotten = [text for text in unnamed if not text.startswith(tuple(ELSEWHERE))]
    assert forgotten == []


def test_both_readmes_tell_people_to_type_the_same() -> None:
    english, chinese = snippets("README.md"), snippets("README.zh-CN.md")
    assert set(english) == set(chinese)
    assert {name: _without_words(block) for name, block in english.items()} == {
        name: _without_words(block) for name, block in chinese.items()
    }


def _without_words(block: Block) -> str:
    """The block without its comments and without texts in quotes, which are translated."""
    return re.sub(r"\s*#.*$|\"[^\"]*\"", "", block.text, flags=re.MULTILINE)


def test_a_question_is_answered_in_the_terminal(product: Product, reader: Path) -> None:
    [block] = [item for item in blocks_of("README.md") if item.text.startswith("source ")]
    activate = f"source {BIN / 'activate'}"
    typed = block.text.replace("source .venv/bin/activate", activate)
    answer = _type(Block(None, "bash", typed, None), product, reader)
    assert len(answer.splitlines()[0]) > 10
    assert "control-plane" in answer


def test_the_first_agent_of_the_readme_echoes(product: Product, reader: Path) -> None:
    told = snippets("README.md")
    (reader / "echo.py").write_text(told["echo-agent"].text)
    assert len(told["echo-agent"].text.split("\n\n\n")[-1].strip().splitlines()) <= 10
    with _typed_in_another_terminal(told["run-echo"], product, reader, "echo"):
        submitted = _type(told["submit-echo"], product, reader)
        followed = _type(told["follow-with-curl"], product, reader)
    assert submitted == told["submit-echo"].shown
    assert "event: task.finished\n" in followed
    assert "event: task.token\n" in followed


def test_the_refund_of_the_readme_is_paid_once_it_is_approved(
    product: Product, reader: Path
) -> None:
    (reader / "till.py").write_text(snippets("README.md")["refund-agent"].text)
    agent = Block(None, "bash", "orchestra agent run till.py", None)
    with _typed_in_another_terminal(agent, product, reader, "refund"):
        refund = product.cli("task", "submit", "refund", "--input", '"an order"').stdout.strip()
        approval = _question_of(product, refund)
        product.cli("approvals", "approve", approval, "--yes")
        followed = product.cli("task", "follow", refund).stdout
    assert followed.splitlines()[-1] == "12.5"
    assert (reader / "terminal.log").read_text().count("paid 12.5") == 1


def _question_of(product: Product, task_id: str) -> str:
    """The id of the question that the task asks, once it does."""
    found: list[str] = []

    def is_asked() -> bool:
        asked = json.loads(product.cli("approvals", "list", "--json").stdout)
        found.extend(item["id"] for item in asked if item["task_id"] == task_id)
        return bool(found)

    wait_until(is_asked, seconds=30, what="the task asks")
    return found[0]


def test_the_openai_client_of_the_readme_prints_an_answer(product: Product, reader: Path) -> None:
    assert len(_type(snippets("README.md")["openai-client"], product, reader)) > 1


def test_the_agent_with_typed_input_finds_titles(product: Product, reader: Path) -> None:
    told = snippets("docs/how-to/write-an-agent.md")
    (reader / "librarian.py").write_text(told["typed-agent"].text)
    run = Block(None, "bash", "python librarian.py", None)
    submit = 'orchestra task submit search --input \'{"words": "bees", "limit": 2}\' --follow'
    with _typed_in_another_terminal(run, product, reader, "search"):
        found = _type(Block(None, "bash", submit, None), product, reader)
    assert found == '{"titles": ["Bees, volume 1", "Bees, volume 2"]}\n'


@pytest.mark.parametrize(
    ("page", "name", "file", "capability"),
    [
        ("durable-steps", "durable", "shop.py", "order"),
        ("child-tasks", "children", "counter.py", "count_all"),
        ("multi-agent-patterns", "pattern", "desk.py", "ask_desk"),
    ],
)
def test_an_agent_that_lasts_answers_as_shown(
    product: Product, reader: Path, page: str, name: str, file: str, capability: str
) -> None:
    told = snippets(f"docs/how-to/{page}.md")
    (reader / file).write_text(told[f"{name}-agent"].text)
    with _typed_in_another_terminal(told[f"{name}-run"], product, reader, capability):
        printed = _type(told[f"{name}-submit"], product, reader)
    # As JSON: the keys of an object have no order on the wire.
    assert json.loads(printed) == json.loads(told[f"{name}-submit"].shown or "")


def test_a_letter_is_sent_when_somebody_approves_it(product: Product, reader: Path) -> None:
    told = snippets("docs/how-to/approvals.md")
    (reader / "mailer.py").write_text(told["approval-agent"].text)
    with _typed_in_another_terminal(told["approval-run"], product, reader, "newsletter"):
        task_id = _type(told["approval-submit"], product, reader).strip()
        asked: list[dict[str, Any]] = []

        def ask() -> bool:
            asked.extend(json.loads(product.cli("approvals", "list", "--json").stdout))
            return any(item["task_id"] == task_id for item in asked)

        wait_until(ask, seconds=30, what="the task asks")
        found = next(item for item in asked if item["task_id"] == task_id)
        product.cli("approvals", "approve", found["id"], "--hash", found["data_hash"])
        followed = product.cli("task", "follow", task_id).stdout
    assert "sent, as" in followed


def test_following_over_sse_and_grpc_is_as_written(product: Product, reader: Path) -> None:
    told = snippets("docs/how-to/follow-a-task.md")
    (reader / "echo.py").write_text(snippets("README.md")["echo-agent"].text)
    run = Block(None, "bash", "orchestra agent run echo.py", None)
    generate = told["grpc-client-setup"].text.splitlines()[1:]
    setup = "\n".join(generate).replace("venv/bin/python", "python")
    setup = setup.replace("path/to/proto", str(ROOT / "proto"))
    address = f"localhost:{product.http_port}"
    with _typed_in_another_terminal(run, product, reader, "echo"):
        sse = _type(told["follow-sse"], product, reader)
        _type(Block(None, "bash", setup, None), product, reader)
        grpc = _type(told["grpc-client"], product, reader, address, product.key)
    assert _kinds(sse) == _kinds(told["follow-sse"].shown or "")
    assert "task.finished" in grpc
    assert "hi" in grpc


def _kinds(stream: str) -> list[str]:
    """The types and cursors of a feed's events, without what differs from run to run."""
    return re.findall(r"^(?:event|id): (.*)$", stream, re.MULTILINE)


def test_a_back_up_is_made_as_written(product: Product, reader: Path) -> None:
    _type(snippets("docs/how-to/back-up.md")["back-up"], product, reader)
    assert (reader / "orchestra.dump").read_bytes()[:5] == b"PGDMP"
    assert (reader / "orchestra-keys.tar.gz").stat().st_mode & 0o777 == 0o600


def test_tasks_run_later_and_by_a_schedule(product: Product, reader: Path) -> None:
    told = snippets("docs/how-to/schedules.md")
    (reader / "echo.py").write_text(snippets("README.md")["echo-agent"].text)
    run = Block(None, "bash", "orchestra agent run echo.py", None)
    with _typed_in_another_terminal(run, product, reader, "echo"):
        later = _type(told["submit-later"], product, reader).splitlines()[0]
        follow = Block(None, "bash", f"orchestra task follow {later}", None)
        assert _type(follow, product, reader) == '{"text": "later"}\n'
        shown = _type(told["schedule"], product, reader)
    assert "Europe/Berlin" in shown
    assert "upcoming" in shown


def test_a_workflow_is_declared_and_run(product: Product, reader: Path) -> None:
    told = snippets("docs/how-to/workflows.md")
    (reader / "echo.py").write_text(snippets("README.md")["echo-agent"].text)
    run = Block(None, "bash", "orchestra agent run echo.py", None)
    with _typed_in_another_terminal(run, product, reader, "echo"):
        assert _type(told["workflow"], product, reader) == told["workflow"].shown


def test_a_dead_letter_is_found_and_done_again(product: Product, reader: Path) -> None:
    shown = _type(snippets("docs/how-to/dead-letters.md")["dead-letters"], product, reader)
    assert "deadline" in shown
    assert re.search(r"^[0-9a-f-]{36}$", shown.splitlines()[-1])


def test_queues_are_run_as_written(product: Product, reader: Path) -> None:
    told = snippets("docs/how-to/queues.md")
    assert "(no_agent)" in _type(told["priorities"], product, reader)
    assert "translate" in _type(told["queues"], product, reader)
    assert "paused_by" in _type(told["pause-queue"], product, reader)
    assert len(_type(told["limit-queue"], product, reader).split()) == 3
    changed = re.findall(r"changed +(\d+)", _type(told["bulk"], product, reader))
    assert changed == ["1", "0", "0"]


def test_a_large_file_goes_to_an_agent_and_comes_back(product: Product, reader: Path) -> None:
    told = snippets("docs/how-to/large-inputs.md")
    (reader / "measurer.py").write_text(told["blob-agent"].text)
    run = Block(None, "bash", "orchestra agent run measurer.py", None)
    with _typed_in_another_terminal(run, product, reader, "measure"):
        result = json.loads(_type(told["large-input"], product, reader))
    assert result["bytes"] == 5_000_000
    fetch = f"orchestra blob get {result['turned']['$blob']} -o turned.bin"
    _type(Block(None, "bash", fetch, None), product, reader)
    assert (reader / "turned.bin").read_bytes()[::-1] == (reader / "large.bin").read_bytes()
    assert "text/plain" in _type(told["blob-life"], product, reader)


def test_every_named_snippet_is_typed_by_a_test() -> None:
    typed = set(re.findall(r'"([\w-]+)"\]', Path(__file__).read_text()))
    parts = ("agent", "run", "submit")
    typed |= {f"{name}-{part}" for name in ("durable", "children", "pattern") for part in parts}
    assert set(snippets(*documents())) <= typed
