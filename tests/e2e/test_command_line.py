"""The command line against a real instance, near and far."""

import json
import os
import pty
import signal
import subprocess
import sys
from typing import Any

from e2e.product import ORCHESTRA, Product, wait_until

# A shell that starts the tests in the background hands an ignored SIGINT down to them.
INTERRUPTIBLE = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
    "from orchestra_cli.main import main; main()"
)
CAPITAL = "What is the capital of France?"


def _far(product: Product, key: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command on a machine that has only an address and an API key."""
    clean = {name: text for name, text in product.environment().items() if "ORCHESTRA" not in name}
    return subprocess.run(
        [ORCHESTRA, *arguments],
        env={**clean, "ORCHESTRA_URL": product.url, "ORCHESTRA_API_KEY": key},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_key_opens_what_it_was_made_for_until_it_is_revoked(product: Product) -> None:
    made = json.loads(
        product.cli("keys", "create", "reader", "--scope", "tasks:read", "--json").stdout
    )
    assert _far(product, made["key"], "task", "list").returncode == 0
    assert _far(product, made["key"], "task", "submit", "echo").returncode == 4
    product.cli("keys", "revoke", made["id"], "--yes")
    wait_until(
        lambda: _far(product, made["key"], "task", "list").returncode == 4,
        seconds=10,
        what="the revoked key is refused",
    )


def test_an_answer_in_the_terminal_goes_on_in_its_conversation(product: Product) -> None:
    first = json.loads(product.cli("chat", CAPITAL, "--json").stdout)
    assert (first["state"], len(first["text"]) > 5) == ("succeeded", True)
    second = product.cli(
        "chat", "Say it again.", "--conversation", first["conversation_id"], "--json"
    )
    assert json.loads(second.stdout)["conversation_id"] == first["conversation_id"]
    path = f"/api/conversations/{first['conversation_id']}/messages"
    with product.client() as client:
        messages: list[dict[str, Any]] = client.get(path).json()["items"]
    assert [message["role"] for message in messages] == ["user", "assistant"] * 2


def test_on_a_terminal_the_answer_is_streamed_and_ctrl_c_stops_it(product: Product) -> None:
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, "chat", "Tell me a very long story about the sea."],
        env={**product.environment(), "TERM": "dumb"},
        stdin=subprocess.DEVNULL,
        stdout=terminal,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(terminal)
    with process:
        try:
            streamed = _read(controller, at_least=40)
            process.send_signal(signal.SIGINT)
            _, messages = process.communicate(timeout=60)
        finally:
            process.kill()
    os.close(controller)
    assert process.returncode == 130
    assert len(streamed) >= 40
    conversation = messages.rsplit("conversation ", 1)[1].strip()
    with product.client() as client:
        items = client.get(f"/api/conversations/{conversation}/messages").json()["items"]
    assert items[-1]["state"] == "stopped"


def _read(descriptor: int, *, at_least: int) -> str:
    """What a program writes to its terminal, until there is enough of it."""
    text = ""
    while len(text) < at_least:
        text += os.read(descriptor, 4096).decode(errors="replace")
    return text


def test_people_are_invited_disabled_and_found_in_the_audit_log(product: Product) -> None:
    link = product.cli("users", "create", "grace").stdout.strip()
    assert link.startswith(f"{product.url}/setup#token=")
    product.cli("users", "set-role", "grace", "viewer")
    product.cli("users", "disable", "grace")
    listed = json.loads(product.cli("users", "list", "--json").stdout)
    grace = next(user for user in listed if user["username"] == "grace")
    assert (grace["role"], grace["status"]) == ("viewer", "disabled")
    assert grace["id"] in product.cli("audit", "list").stdout
    assert json.loads(product.cli("audit", "verify", "--json").stdout)["intact"]


def test_models_and_providers_are_listed(product: Product) -> None:
    [default] = json.loads(product.cli("models", "default", "--json").stdout)
    assert default["is_default"]
    [local] = json.loads(product.cli("providers", "list", "--json").stdout)
    tested = product.cli("providers", "test", local["name"], "--json")
    assert json.loads(tested.stdout)["ok"]


def test_what_does_not_exist_is_said_so(product: Product) -> None:
    absent = product.cli("task", "get", "01890000-0000-7000-8000-000000000000", check=False)
    assert (absent.returncode, absent.stdout) == (3, "")


def test_status_shows_what_runs(product: Product) -> None:
    status = json.loads(product.cli("status", "--json").stdout)
    names = {program["name"] for program in status["processes"]}
    assert {"gateway", "api", "control-plane", "worker", "assistant", "postgres", "nats"} <= names
    assert product.cli("doctor", check=False).returncode == 0
