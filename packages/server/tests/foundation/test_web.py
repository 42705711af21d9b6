"""The HTTP door: policies, problem details, hosts, cross-site protection, paging."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody
from litestar.routes import HTTPRoute
from litestar.testing import TestClient
from orchestra.foundation import auth, web
from orchestra.foundation.auth import SYSTEM, Actor, Credential, Permission
from orchestra.foundation.errors import InvalidInput, Unauthenticated, Unavailable
from orchestra.foundation.settings import Settings

KEY = {"authorization": "Bearer good"}


class OneKey:
    """Knows one token and one cookie."""

    async def authenticate(self, credential: Credential) -> Actor:
        if credential.bearer == "good" or credential.cookie == "good":
            return SYSTEM
        if credential.bearer == "viewer":
            return auth.Actor(
                kind=auth.ActorKind.KEY,
                id="v",
                name="v",
                user_id=None,
                role=auth.Role.VIEWER,
                permissions=auth.ROLE_PERMISSIONS[auth.Role.VIEWER],
            )
        raise Unauthenticated


class Greeting(web.Body):
    name: str
    times: int = 1


@get("/read", opt=web.policy(auth.require(Permission.USERS_MANAGE)), sync_to_thread=False)
def read(
    actor: NamedDependency[Actor], word: NamedDependency[str], limit: FromQuery[int | None] = None
) -> dict[str, Any]:
    return {"actor": actor.name, "word": word, "limit": web.page_limit(limit)}


@post("/write", opt=web.policy(auth.SIGNED_IN), sync_to_thread=False)
def write(data: JSONBody[Greeting]) -> Greeting:
    return data


@get("/broken", opt=web.policy(auth.PUBLIC), sync_to_thread=False)
def broken() -> None:
    raise ValueError("a secret detail")


@get("/away", opt=web.policy(auth.PUBLIC), sync_to_thread=False)
def away() -> None:
    raise Unavailable(retry_after=2)


@pytest.fixture
def client() -> Iterator[TestClient[Any]]:
    app = web.create_app(
        [read, write, broken, away],
        settings=Settings(),
        authenticator=OneKey(),
        dependencies={"word": "hello"},
    )
    with TestClient(app, base_url="http://127.0.0.1") as client:
        yield client


def test_a_route_without_a_policy_stops_the_start() -> None:
    @get("/open", sync_to_thread=False)
    def forgotten() -> None: ...

    with pytest.raises(RuntimeError, match="/open has no policy"):
        web.create_app([forgotten], settings=Settings(), authenticator=OneKey(), dependencies={})


def test_an_allowed_caller_gets_the_answer_with_protective_headers(client: TestClient[Any]) -> None:
    answer = client.get("/read", headers={**KEY, "x-request-id": "abcdefgh1234"})
    assert answer.json() == {"actor": "system", "word": "hello", "limit": 50}
    assert answer.headers["x-request-id"] == "abcdefgh1234"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("path", "headers", "status", "code"),
    [
        ("/read", {}, 401, "unauthenticated"),
        ("/read", {"authorization": "Bearer bad"}, 401, "unauthenticated"),
        ("/read", {"authorization": "Bearer viewer"}, 403, "forbidden"),
        ("/read?limit=0", KEY, 422, "invalid_input"),
        ("/read?limit=many", KEY, 422, "invalid_input"),
        ("/read", {**KEY, "host": "evil.example"}, 421, "unknown_host"),
        ("/absent", KEY, 404, "not_found"),
        ("/write", KEY, 405, "method_not_allowed"),
        ("/broken", {}, 500, "error"),
        ("/away", {}, 503, "unavailable"),
    ],
)
def test_every_failure_is_a_problem_with_a_code(
    client: TestClient[Any], path: str, headers: dict[str, str], status: int, code: str
) -> None:
    answer = client.get(path, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert "secret" not in answer.text


def test_a_part_that_is_away_says_when_to_come_back(client: TestClient[Any]) -> None:
    assert client.get("/away").headers["retry-after"] == "2"


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b'{"name":"a"}', "application/json", 201),
        (b'{"name":"a"}', "application/json; charset=utf-8", 201),
        (b'{"name":"a","nmae":1}', "application/json", 422),
        (b'{"name":1}', "application/json", 422),
        (b"{nonsense", "application/json", 400),
        (b"name=a", "application/x-www-form-urlencoded", 415),
        (b'{"name":"a"}', "text/plain", 415),
    ],
)
def test_only_well_formed_json_with_known_fields_is_taken(
    client: TestClient[Any], content: bytes, content_type: str, status: int
) -> None:
    answer = client.post("/write", content=content, headers={**KEY, "content-type": content_type})
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 201),
        ({"sec-fetch-site": "same-origin"}, 201),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "http://127.0.0.1"}, 201),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
    ],
)
def test_another_site_cannot_write_with_a_browsers_session(
    client: TestClient[Any], headers: dict[str, str], status: int
) -> None:
    headers = {**headers, "cookie": f"{web.SESSION_COOKIE}=good"}
    assert client.post("/write", json={"name": "a"}, headers=headers).status_code == status


def test_a_cursor_comes_back_as_it_went_and_a_foreign_one_is_refused() -> None:
    cursor = web.encode_cursor("2026-01-01", 7)
    assert web.decode_cursor(cursor, str, int) == ("2026-01-01", 7)
    for foreign in (
        "",
        "%%%",
        "bm90IGpzb24",
        cursor[:-3],
        web.encode_cursor(7, "x"),
        web.encode_cursor("x"),
    ):
        with pytest.raises(InvalidInput):
            web.decode_cursor(foreign, str, int)
    with pytest.raises(InvalidInput):  # no database has this moment
        web.decode_cursor(web.encode_cursor("0001-01-01T00:00:00+14:00"), datetime)


def test_dependencies_are_resolved_without_tasks_of_their_own() -> None:
    """The attributes of Litestar that this relies on may change: then it should be seen here."""
    app = web.create_app(
        [read], settings=Settings(), authenticator=OneKey(), dependencies={"word": "hello"}
    )
    routes = [route for route in app.routes if isinstance(route, HTTPRoute)]
    models = [model for route in routes for _, model in route.route_handler_map.values()]
    assert max(len(model.dependency_batches) for model in models) == 2
    assert all(len(batch) == 1 for model in models for batch in model.dependency_batches)
