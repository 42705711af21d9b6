"""The examples as a reader has them: a copy, an agent's process, and the ledger of effects."""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from e2e.agents import is_online
from e2e.product import BIN, ORCHESTRA, ROOT, Product, wait_until
from e2e.snippets import sandbox

TYPE_SECONDS = 170  # one command of a document, which may wait for a small model


def copy_examples(directory: Path, product: Product) -> Path:
    """Return a copy of examples/ from where the instance is found."""
    ignored = shutil.ignore_patterns("__pycache__", "*.db")
    shutil.copytree(ROOT / "examples", directory, ignore=ignored)
    return sandbox(directory, product.data_dir)


def type_in(directory: Path, text: str) -> str:
    """Types some lines into a shell; returns what they print."""
    clean = {name: text for name, text in os.environ.items() if "ORCHESTRA" not in name}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=directory,
        env={**clean, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=TYPE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@dataclass(slots=True)
class AgentProcess:
    """One agent, which can be killed and started again."""

    product: Product
    path: Path
    capability: str
    _process: subprocess.Popen[bytes] | None = field(default=None)

    def start(self) -> None:
        with (self.path.parent / "agent.log").open("a") as log:
            self._process = subprocess.Popen(
                [ORCHESTRA, "agent", "run", self.path.name],
                cwd=self.path.parent,
                env=self.product.environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def kill(self) -> None:
        """kill -9, and nobody starts it again."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(10)

    def wait_online(self) -> None:
        log = self.path.parent / "agent.log"
        wait_until(
            lambda: is_online(self.product, self.capability),
            seconds=40,
            what=f"the agent is connected:\n{log.read_text()[-2000:]}",
        )


@contextmanager
def agent_of(product: Product, path: Path, *, capability: str) -> Generator[AgentProcess]:
    """The agent's process, connected; killed afterwards, since the test is over."""
    agent = AgentProcess(product, path, capability)
    agent.start()
    try:
        agent.wait_online()
        yield agent
    finally:
        agent.kill()


def effects(directory: Path) -> list[str]:
    """What the ledger says was done, in order."""
    path = directory / "ledger.db"
    if not path.exists():
        return []
    with closing(sqlite3.connect(path, timeout=30)) as database:
        try:
            rows = database.execute("SELECT what FROM effects ORDER BY number").fetchall()
        except sqlite3.OperationalError:
            return []  # its first user has not made the table yet
    return [str(row[0]) for row in rows]


def get(product: Product, path: str) -> Any:
    """What the instance answers, or None while it cannot."""
    try:
        with product.client() as client:
            answer = client.get(path)
    except httpx.TransportError:
        return None
    return answer.json() if answer.is_success else None


def finished(product: Product, task_id: str) -> dict[str, Any] | None:
    """The task, once it is over."""
    task = get(product, f"/api/tasks/{task_id}")
    over = task is not None and task["state"] in ("succeeded", "failed", "cancelled")
    return task if over else None
