"""Agents in processes of their own, written as a user would write them."""

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
from e2e.product import ORCHESTRA, Product, wait_until

ECHO = """
from orchestra_sdk import Agent, Context

agent = Agent("{name}", slots={slots}, backlog={backlog})


@agent.task("{capability}")
async def echo(ctx: Context, input):
    with open({ledger!r}, "a") as ledger:
        ledger.write(ctx.idempotency_key + "\\n")
    return input


if __name__ == "__main__":
    agent.run()
"""


def write_echo(
    directory: Path, *, capability: str = "echo", slots: int = 64, backlog: int = 256
) -> Path:
    """An agent that answers with its input and writes down each effect; returns its file."""
    directory.mkdir(parents=True, exist_ok=True)
    ledger = str(directory / "ledger.txt")
    path = directory / "echo_agent.py"
    name = f"{capability}-agent"
    path.write_text(
        ECHO.format(name=name, slots=slots, backlog=backlog, capability=capability, ledger=ledger)
    )
    return path


def effects(path: Path) -> list[str]:
    """The idempotency keys of what the agent in this file did, in order."""
    ledger = path.parent / "ledger.txt"
    return ledger.read_text().splitlines() if ledger.exists() else []


@contextmanager
def running(
    product: Product, path: Path, *, capability: str, by_cli: bool = True
) -> Generator[subprocess.Popen[bytes]]:
    """The agent's process, connected; ended afterwards."""
    command = [ORCHESTRA, "agent", "run"] if by_cli else [sys.executable]
    with (path.parent / "agent.log").open("a") as log:
        process = subprocess.Popen(
            [*command, str(path)],
            cwd=path.parent,
            env=product.environment(),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(
            lambda: is_online(product, capability),
            seconds=30,
            what=f"the agent is connected:\n{(path.parent / 'agent.log').read_text()[-2000:]}",
        )
        yield process
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)


def is_online(product: Product, capability: str) -> bool:
    """Whether an agent with this capability can take tasks."""
    try:
        with product.client() as client:
            answer = client.get("/api/agents", params={"capability": capability})
    except httpx.TransportError:
        return False
    if answer.is_error:
        return False
    return any(agent["status"] in ("online", "busy") for agent in answer.json()["items"])
