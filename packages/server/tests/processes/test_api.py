"""The composed api: from signing in to the last word of an answer, and what it refuses."""

import asyncio
import re
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar.routes import HTTPRoute
from orchestra.engines.testing import start_nats
from orchestra.features.events import TaskEvent, task_topic, task_window
from orchestra.features.events.service import sweep
from orchestra.foundation.auth import Policy
from orchestra.foundation.concurrency import Guard
from orchestra.foundation.database import Database
from orchestra.foundation.messaging import Bus, Message
from orchestra.foundation.settings import Settings
from orchestra.processes import api as api_process
from orchestra.processes import control_plane, serving
from orchestra.processes.health import Health
from orchestra.processes.health import probes as probes_of
from people import PASSWORD, SignIn

from .conftest import Server, eventually, follow

pytestmark = pytest.mark.anyio

# Whoever adds a public route changes this list, and has a reason.
PUBLIC = {
    ("GET", "/health"),
    ("GET", "/ready"),
    # These ask for a permission themselves unless the caller is on this machine.
    ("GET", "/metrics"),
    ("GET", "/metrics/{program:str}"),
    ("GET", "/api/openapi.json"),
    ("POST", "/api/auth/link"),
    ("POST", "/api/auth/setup"),
    ("POST", "/api/auth/login"),
    ("POST", "/api/agents/enrol"),
}


async def speak(bus: Bus, task_id: str, *events: TaskEvent) -> None:
    """Publishes what an agent says, as the control plane does."""
    owner = uuid.UUID(task_id)
    await bus.publish(Message(task_topic(owner), task_window(owner, events)))


def token(cursor: str, text: str) -> TaskEvent:
    return TaskEvent(cursor=cursor, type="task.token", data={"text": text})


def finished(cursor: str, text: str) -> TaskEvent:
    end = {"state": "succeeded", "result": {"text": text}, "error": None, "usage": None}
    return TaskEvent(cursor=cursor, type="task.finished", data=end)


async def begin_turn(client: httpx.AsyncClient) -> Any:
    made = (await client.post("/api/conversations", json={})).json()
    url = f"/api/conversations/{made['id']}/messages"
    answer = await client.post(url, json={"content": "Hello"}, headers={"idempotency-key": "first"})
    assert answer.status_code == 202, answer.text
    return answer.json()["assistant_message"]


async def test_somebody_signs_in_says_something_and_reads_the_answer_word_by_word(
    sign_in: SignIn, bus: Bus
) -> None:
    ann = await sign_in()
    answer = await begin_turn(ann)
    task = answer["task_id"]
    async with follow(ann, f"/api/tasks/{task}/events") as feed:
        assert feed.response.headers["content-type"] == "text/event-stream"
        assert feed.response.headers["cache-control"] == "no-store"
        assert feed.response.headers["x-accel-buffering"] == "no"
        assert "frame-ancestors 'none'" in feed.response.headers["content-security-policy"]
        queued = await feed.next()
        assert (queued["id"], queued["event"]) == ("1:0", "task.status")
        running = TaskEvent(cursor="2:0", type="task.status", data={"state": "running"})
        await speak(bus, task, running)
        await speak(bus, task, token("2:1", "Good "), token("2:2", "day"))
        await speak(bus, task, finished("2:3", "Good day"))
        rest = await feed.rest()
    assert [event["id"] for event in rest] == ["2:0", "2:1", "2:2", "2:3"]
    assert "".join(event["data"].get("text", "") for event in rest) == "Good day"

    headers = {"last-event-id": "2:1"}
    async with follow(ann, f"/api/tasks/{task}/events", **headers) as feed:
        assert [event["id"] for event in await feed.rest()] == ["2:2", "2:3"]
    async with follow(ann, f"/api/tasks/{task}/events?cursor=2:2") as feed:
        assert [event["id"] for event in await feed.rest()] == ["2:3"]


async def test_a_feed_is_for_its_owner_and_a_cursor_must_be_one(sign_in: SignIn) -> None:
    ann, bob = await sign_in("ann"), await sign_in("bob")
    task = (await begin_turn(ann))["task_id"]
    assert (await bob.get(f"/api/tasks/{task}/events")).status_code == 404
    assert (await ann.get(f"/api/tasks/{task}/events?cursor=x")).status_code == 422
    assert (await ann.get("/api/events/stream?cursor=1")).status_code == 422


async def test_the_live_feed_tells_of_ones_own_tasks_and_conversations(sign_in: SignIn) -> None:
    ann = await sign_in()
    async with follow(ann, "/api/events/stream") as feed:
        ready = await feed.next()
        assert ready["event"] == "ready"
        await begin_turn(ann)
        types = {(await feed.next())["data"]["type"] for _ in range(3)}
    assert types == {"conversation.updated", "task.status"}


async def test_a_subscription_reaches_the_open_feed_and_later_ones(
    sign_in: SignIn, bus: Bus
) -> None:
    ann = await sign_in()
    async with follow(ann, "/api/events/stream") as feed:
        feed_id = (await feed.next())["data"]["feed_id"]
        for body in ({"eventType": "system.metrics", "feedId": feed_id}, {"eventType": "agent.*"}):
            answer = await ann.post("/api/events/subscribe", json=body)
            assert answer.status_code == 200
        assert set(answer.json()["event_types"]) >= {"agent.*", "task.status"}
        metrics = Message("metrics.system", b'{"type":"system.metrics","data":{}}')
        await bus.client.flush()
        await bus.publish(metrics)
        assert (await feed.next())["data"]["type"] == "system.metrics"
    bad = await ann.post("/api/events/subscribe", json={"eventType": "*"})
    assert bad.status_code == 422


async def test_nobody_holds_more_feeds_than_allowed_and_a_closed_one_counts_no_more(
    sign_in: SignIn,
) -> None:
    ann = await sign_in()
    async with follow(ann, "/api/events/stream") as one, follow(ann, "/api/events/stream") as two:
        await one.next()
        await two.next()
        async with follow(ann, "/api/events/stream") as three:
            await three.next()
            refused = await ann.get("/api/events/stream")
            assert (refused.status_code, refused.json()["code"]) == (429, "too_many_feeds")
            assert refused.headers["retry-after"]
        assert await eventually(lambda: opens(ann))


async def opens(client: httpx.AsyncClient) -> bool:
    async with client.stream("GET", "/api/events/stream") as response:
        return response.status_code == 200


async def test_feeds_close_within_two_seconds_when_the_login_ends(sign_in: SignIn) -> None:
    ann, root = await sign_in("ann"), await sign_in("root")
    task = (await begin_turn(ann))["task_id"]
    user = (await ann.get("/api/me")).json()["id"]
    async with (
        follow(ann, "/api/events/stream") as live,
        follow(ann, f"/api/tasks/{task}/events") as feed,
        follow(root, "/api/events/stream") as other,
    ):
        for opened in (live, feed, other):
            await opened.next()
        patched = await root.patch(f"/api/users/{user}", json={"status": "disabled"})
        assert patched.status_code == 200
        async with asyncio.timeout(2):
            for opened in (live, feed):
                last = (await opened.rest())[-1]
                assert (last["event"], last["data"]) == ("closing", {"reason": "login_ended"})


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("UPDATE api_keys SET revoked_at = now() WHERE user_id = $1", "login_ended"),
        ("UPDATE users_v2 SET status = 'disabled' WHERE id = $1", "login_ended"),
        ("UPDATE users_v2 SET role = 'viewer' WHERE id = $1", "not_allowed"),
    ],
    ids=["the key is revoked", "the person is blocked", "the person has another role"],
)
async def test_feeds_of_a_persons_key_close_though_nobody_has_heard(
    sign_in: SignIn,
    server: Server,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    sql: str,
    reason: str,
) -> None:
    monkeypatch.setattr(sweep, "AUTHENTICATE_SECONDS", 1)
    ann, root = await sign_in("ann"), await sign_in("root")
    body = {"name": "mine", "scopes": ["events:read", "tasks:read"]}
    key = (await ann.post("/api/keys", json=body)).json()["key"]
    user = uuid.UUID((await ann.get("/api/me")).json()["id"])
    bearer = server.client(headers={"authorization": f"Bearer {key}"})
    async with (
        bearer,
        follow(bearer, "/api/events/stream") as feed,
        follow(root, "/api/events/stream") as other,
    ):
        await feed.next()
        await other.next()
        async with database.transaction() as tx:
            await tx.execute(sql, user)
        async with asyncio.timeout(5):
            last = (await feed.rest())[-1]
        assert (last["event"], last["data"]) == ("closing", {"reason": reason})
        assert not other.response.is_closed


async def test_a_stop_tells_every_feed_and_is_quick(sign_in: SignIn, server: Server) -> None:
    ann = await sign_in()
    async with follow(ann, "/api/events/stream") as feed:
        await feed.next()
        server.stopping.set()
        async with asyncio.timeout(2):
            last = (await feed.rest())[-1]
        assert (last["event"], last["data"]) == ("closing", {"reason": "restart"})


def routes_of(server: Server) -> list[tuple[str, str, Policy]]:
    app = server.api.framework
    return [
        (method, route.path, handler.opt["policy"])
        for route in app.routes
        if isinstance(route, HTTPRoute) and not route.path.startswith("/api/schema")
        for handler in route.route_handlers
        if "policy" in handler.opt
        for method in sorted(handler.http_methods)
    ]


async def test_every_route_has_a_policy_and_only_these_are_public(server: Server) -> None:
    found = routes_of(server)
    assert len(found) > 50
    assert {(method, path) for method, path, rule in found if rule.is_public} == PUBLIC


async def test_every_other_route_refuses_who_is_not_signed_in(server: Server) -> None:
    async with server.client() as client:
        for method, path, rule in routes_of(server):
            if rule.is_public:
                continue
            url = re.sub(r"\{[^}]*\}", str(uuid.UUID(int=0)), path)
            answer = await client.request(method, url)
            assert answer.status_code == 401, (method, path, answer.text)


async def test_a_viewer_can_change_nothing(sign_in: SignIn, server: Server) -> None:
    vic = await sign_in("vic", role="viewer")
    own = {"/api/auth/logout", "/api/me", "/api/me/password", "/api/me/logins/{login_id:uuid}"}
    own |= {"/api/events/subscribe"}
    for method, path, rule in routes_of(server):
        if method == "GET" or rule.is_public or path in own:
            continue
        url = re.sub(r"\{[^}]*\}", str(uuid.UUID(int=0)), path)
        answer = await vic.request(method, url)
        assert answer.status_code == 403, (method, path, answer.status_code)


def test_every_rpc_has_a_policy() -> None:
    """Those of the contract and of the health service; any other is refused by the interceptor."""
    from orchestra_protocol import agent_pb2  # noqa: PLC0415 - only this test needs it

    service = agent_pb2.DESCRIPTOR.services_by_name["ModernAgentService"]
    rpcs = {f"/{service.full_name}/{method.name}" for method in service.methods}
    assert rpcs <= set(control_plane.POLICIES)
    public = {name for name, rule in control_plane.POLICIES.items() if rule.is_public}
    assert all(name.startswith("/grpc.health.v1.Health/") for name in public)


async def test_whatever_answers_protects_the_browser(server: Server) -> None:
    async with server.client() as client:
        for method, path, status in (
            ("GET", "/health", 200),
            ("GET", "/api/nothing", 404),
            ("PUT", "/health", 405),
            ("GET", "/nothing.js", 404),
            ("POST", "/anything", 404),
            ("GET", "/api/schema", 404),
            ("GET", "/api/me", 401),
        ):
            answer = await client.request(method, path)
            assert answer.status_code == status, (path, answer.text)
            assert "default-src 'self'" in answer.headers["content-security-policy"]
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["x-request-id"]


async def test_the_committed_description_of_the_api_is_the_present_one(server: Server) -> None:
    document = _repository() / "docs" / "openapi.json"
    assert document.read_text() == api_process.describe(), "run make generate"
    async with server.client() as client:
        served: dict[str, Any] = (await client.get("/api/openapi.json")).json()
    operations: list[dict[str, Any]] = [
        path[method]
        for path in served["paths"].values()
        for method in ("get", "post", "put", "patch", "delete")
        if method in path
    ]
    assert len({item["operationId"] for item in operations}) == len(operations)
    assert all(item["responses"]["default"] for item in operations)


def _repository() -> Path:
    return next(parent for parent in Path(__file__).parents if (parent / "uv.lock").is_file())


async def test_metrics_are_for_this_machine_or_who_may_read_them(
    sign_in: SignIn, server: Server
) -> None:
    through_gateway = {"x-envoy-external-address": "203.0.113.7"}
    async with server.client() as client:
        local = await client.get("/metrics")
        assert "ai_orchestra_request_duration_seconds" in local.text
        assert (await client.get("/metrics", headers=through_gateway)).status_code == 401
    ann, root = await sign_in("ann"), await sign_in("root")
    assert (await ann.get("/metrics", headers=through_gateway)).status_code == 403
    assert (await root.get("/metrics", headers=through_gateway)).status_code == 200


async def test_the_numbers_of_the_other_processes_are_at_the_same_address(
    sign_in: SignIn, server: Server, database: Database, bus: Bus
) -> None:
    through_gateway = {"x-envoy-external-address": "203.0.113.7"}
    ann, root = await sign_in("ann"), await sign_in("root")
    assert (await ann.get("/metrics/worker", headers=through_gateway)).status_code == 403
    assert (await root.get("/metrics/gateway")).status_code == 404
    away = await root.get("/metrics/worker")
    assert (away.status_code, away.json()["code"]) == (503, "unavailable")
    stopping, path = asyncio.Event(), server.settings.worker_listen
    async with Guard() as guard:
        probes = probes_of(Health(database, bus))
        serve = serving.serve(probes, path, stopping=stopping, before_stop=nothing)
        serving_task = guard.spawn("worker", serve)

        async def is_there() -> bool:
            answer = await root.get("/metrics/worker", headers=through_gateway)
            return answer.status_code == 200 and "ai_orchestra_dispatch_seconds" in answer.text

        assert await eventually(is_there)
        stopping.set()
        await asyncio.wait_for(serving_task, timeout=10)


async def nothing() -> None:
    pass


async def test_readiness_names_the_part_that_is_away(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    with start_nats(tmp_path) as nats:
        own = settings.with_values("test", nats_url=nats.url, nats_reconnect_seconds=0.05)
        bus = await Bus.connect(own, name="test")
        health = Health(database, bus)
        assert (await health.readiness()).is_ready
        nats.process.kill()
        state = await health.readiness()
        assert state.parts["postgresql"] == "ok"
        assert "answer" in state.parts["nats"]
        await bus.close()


async def test_blobs_without_their_storage_are_told_and_the_rest_goes_on(
    settings: Settings, database: Database, bus: Bus
) -> None:
    away = {"blob_store": "s3", "s3_bucket": "b", "s3_endpoint": "http://127.0.0.1:1"}
    keys = {"s3_access_key": "k", "s3_secret_key": "s"}
    api = await api_process.compose(settings.with_values("test", **away, **keys), database, bus)
    state = await api.health.readiness()
    assert state.is_ready
    assert "object storage fails" in state.to_json()["parts"]["blobs"]
    await api.stop()


async def test_a_password_is_what_opens_a_session(server: Server, sign_in: SignIn) -> None:
    await sign_in("ann")
    async with server.client() as client:
        wrong = {"username": "ann", "password": PASSWORD + "!"}
        assert (await client.post("/api/auth/login", json=wrong)).status_code == 401
