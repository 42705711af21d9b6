"""No documented route fails on our side, whatever it is sent: inputs drawn from the description.

Drawn by schemathesis from what `/api/openapi.json` says, valid and not; the same in every run.
"""

import asyncio
import importlib
import json
import uuid
from typing import Any, cast

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from orchestra.features.identity import ensure_local_key
from orchestra.foundation.database import Database
from orchestra.foundation.settings import Settings
from orchestra.processes import api as api_process

from .conftest import Server

pytestmark = pytest.mark.anyio

EXAMPLES = 8
# Its types are half known, which a strict checker would follow into.
schemathesis: Any = importlib.import_module("schemathesis")
NOT_SET: Any = importlib.import_module("schemathesis.core").NOT_SET
DESCRIPTION: dict[str, Any] = json.loads(api_process.describe())
# It lasts for as long as somebody listens.
ENDLESS = frozenset({("GET", "/api/events/stream")})
OPERATIONS: dict[tuple[str, str], Any] = {
    (found.ok().method.upper(), found.ok().path): found.ok()
    for found in schemathesis.openapi.from_dict(DESCRIPTION).get_all_operations()
}
DRAWN = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(cast("Any", HealthCheck)),
)


def _tag(method: str, path: str) -> str:
    return DESCRIPTION["paths"][path][method.lower()]["tags"][0]


TAGS = sorted({_tag(*key) for key in OPERATIONS})


@pytest.fixture
async def client(server: Server, database: Database, settings: Settings) -> Any:
    """An administrator's, and synchronous: it is used from a thread beside the server's loop."""
    key = (await ensure_local_key(database, settings)).read_text().strip()
    path = settings.api_listen.removeprefix("unix:")
    with httpx.Client(
        transport=httpx.HTTPTransport(uds=path),
        base_url="http://localhost",
        headers={"authorization": f"Bearer {key}"},
        timeout=15,
    ) as opened:
        yield opened


@pytest.mark.timeout(120)
@pytest.mark.parametrize("tag", TAGS)
async def test_no_route_fails_on_our_side(client: httpx.Client, tag: str) -> None:
    present = await asyncio.to_thread(_make_something, client)
    for key, operation in OPERATIONS.items():
        if _tag(*key) == tag and key not in ENDLESS:
            await asyncio.to_thread(_try_out, client, operation, present)


def test_what_is_drawn_reaches_every_feature() -> None:
    assert {"tasks", "chat", "agents", "providers", "openai", "system"} <= set(TAGS)
    assert len(OPERATIONS) > 50


async def test_what_refers_to_nobody_is_refused(client: httpx.Client) -> None:
    nobody = {"scope": "user", "user_id": str(uuid.UUID(int=7)), "max_running": 1}
    answer = await asyncio.to_thread(client.post, "/api/limits", json=nobody)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")


def _make_something(client: httpx.Client) -> dict[str, str]:
    """Ids of what exists, by the name of the path's parameter; drawn ones only lead to 404."""
    conversation = client.post("/api/conversations", json={}).json()
    turn = client.post(f"/api/conversations/{conversation['id']}/messages", json={"content": "x"})
    task = client.post("/api/tasks", json={"capability": "fuzz", "input": {}}).json()
    me = client.get("/api/me").json()
    return {
        "conversation_id": conversation["id"],
        "message_id": turn.json()["assistant_message"]["id"],
        "task_id": task["id"],
        "user_id": me["id"] if "id" in me else str(uuid.UUID(int=1)),
        "queue": "fuzz",
        "name": "fuzz",
    }


def _try_out(client: httpx.Client, operation: Any, present: dict[str, str]) -> None:
    @DRAWN
    @given(case=operation.as_strategy(), wants_present=st.booleans(), spoiled=st.integers(-2, 3))
    def send(case: Any, wants_present: bool, spoiled: int) -> None:
        case.body = _spoil(case.body, place=spoiled)
        if wants_present:
            case.path_parameters = {**(case.path_parameters or {}), **_known(operation, present)}
        answer = _send(client, case)
        said = (case.method, case.formatted_path, case.query, case.body, answer.text)
        assert answer.status_code != httpx.codes.INTERNAL_SERVER_ERROR, said

    send()


def _spoil(body: Any, *, place: int) -> Any:
    """The body with a NUL in one of its texts, which schemas allow and PostgreSQL does not."""
    if not isinstance(body, dict):
        return body
    fields = cast("dict[str, Any]", body)
    texts = [name for name, value in fields.items() if isinstance(value, str)]
    chosen = texts[place : place + 1] if place >= 0 else []
    return {**fields, **{name: f"{fields[name]}\0" for name in chosen}}


def _known(operation: Any, present: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in present.items() if f"{{{name}}}" in operation.path}


def _send(client: httpx.Client, case: Any) -> httpx.Response:
    body = None if case.body is NOT_SET else json.dumps(case.body, default=str).encode()
    headers = {"content-type": "application/json"} if body is not None else {}
    given: dict[str, object] = case.query or {}
    query = {name: str(value) for name, value in given.items()}
    path: str = case.formatted_path
    return client.request(case.method, path, params=query, content=body, headers=headers)
