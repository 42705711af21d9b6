"""Accounts, as administrators keep them; there is always one left."""

import asyncio
import uuid

import httpx
import pytest
from litestar.routes import HTTPRoute
from nats.aio.msg import Msg
from orchestra.engines.testing import RunningNats
from orchestra.features import audit
from orchestra.features.identity import REVOKED, Identity, user_names
from orchestra.features.identity import rest as identity_rest
from orchestra.foundation.auth import Credential, Permission
from orchestra.foundation.database import Database
from orchestra.foundation.errors import Unauthenticated
from orchestra.foundation.messaging import Bus
from orchestra.foundation.settings import Settings
from orchestra.foundation.web import create_app
from people import PASSWORD, Browser, SignIn

pytestmark = pytest.mark.anyio


async def _id(client: httpx.AsyncClient) -> str:
    return (await client.get("/api/me")).json()["id"]


async def test_who_is_disabled_is_out_at_once(
    admin: httpx.AsyncClient, sign_in: SignIn, browser: Browser
) -> None:
    ann = await sign_in("ann")
    path = f"/api/users/{await _id(ann)}"
    assert (await admin.patch(path, json={"status": "disabled"})).status_code == 200
    assert (await ann.get("/api/me")).status_code == 401
    login = {"username": "ann", "password": PASSWORD}
    assert (await browser().post("/api/auth/login", json=login)).status_code == 401
    await admin.patch(path, json={"status": "active"})
    assert (await ann.get("/api/me")).status_code == 401
    assert (await browser().post("/api/auth/login", json=login)).status_code == 200


async def test_who_is_demoted_signs_in_anew_and_a_keys_rights_shrink(
    admin: httpx.AsyncClient, sign_in: SignIn, browser: Browser
) -> None:
    ann = await sign_in("ann")
    made = await ann.post("/api/keys", json={"name": "k", "scopes": ["chat:use", "tasks:read"]})
    program = browser()
    program.headers["authorization"] = f"Bearer {made.json()['key']}"
    assert (await program.get("/api/me")).json()["permissions"] == ["chat:use", "tasks:read"]
    path = f"/api/users/{await _id(ann)}"
    assert (await admin.patch(path, json={"role": "viewer"})).json()["role"] == "viewer"
    assert (await ann.get("/api/me")).status_code == 401
    assert (await program.get("/api/me")).json()["permissions"] == ["tasks:read"]


async def test_the_last_administrator_stays(admin: httpx.AsyncClient, sign_in: SignIn) -> None:
    path = f"/api/users/{await _id(admin)}"
    for change in ({"role": "member"}, {"status": "disabled"}):
        refused = await admin.patch(path, json=change)
        assert (refused.status_code, refused.json()["code"]) == (409, "last_administrator")
    other = await sign_in("boss", "admin")
    others = f"/api/users/{await _id(other)}"
    both = await asyncio.gather(
        admin.patch(others, json={"role": "member"}), other.patch(path, json={"role": "member"})
    )
    assert 200 in {answer.status_code for answer in both}
    assert {answer.status_code for answer in both} <= {200, 401, 409}


async def test_a_revocation_reaches_other_processes_and_the_feeds(
    admin: httpx.AsyncClient,
    sign_in: SignIn,
    identity: Identity,
    database: Database,
    settings: Settings,
    nats: RunningNats,
) -> None:
    ann = await sign_in("ann")
    credential = Credential(cookie=ann.cookies["__Host-orchestra"])
    here = await Bus.connect(Settings(nats_url=nats.url), name="here")
    there = await Bus.connect(Settings(nats_url=nats.url), name="there")
    elsewhere = Identity(database, settings)
    try:
        heard: asyncio.Queue[bytes] = asyncio.Queue()
        await identity.watch(here)
        await elsewhere.watch(there)

        async def hear(message: Msg) -> None:
            heard.put_nowait(message.data)

        await there.listen(REVOKED, hear)
        await there.client.flush()
        actor = await elsewhere.authenticate(credential)
        await admin.patch(f"/api/users/{actor.user_id}", json={"status": "disabled"})
        assert await asyncio.wait_for(heard.get(), timeout=2) == str(actor.user_id).encode()
        with pytest.raises(Unauthenticated):
            await elsewhere.authenticate(credential)
    finally:
        await here.close()
        await there.close()


async def test_accounts_are_listed_page_by_page_and_searched(
    admin: httpx.AsyncClient, sign_in: SignIn, database: Database
) -> None:
    for number in range(3):
        account = {"username": f"user{number}", "role": "viewer", "display_name": "Zoë %_"}
        await admin.post("/api/users", json=account)
    names: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await admin.get("/api/users", params={"limit": 2, "cursor": cursor})).json()
        names += [user["username"] for user in page["items"]]
        cursor = page["next_cursor"]
    assert names == ["user2", "user1", "user0", "root"]
    for search, count in (("ZOË", 3), ("%_", 3), ("ser1", 1), ("\0", 0), ("nobody", 0)):
        found = (await admin.get("/api/users", params={"search": search})).json()["items"]
        assert len(found) == count
    root = uuid.UUID(await _id(admin))
    async with database.transaction() as tx:
        assert await user_names(tx, [root, uuid.UUID(int=9)]) == {root: "root"}


# The base64 ones are [1], [null], ["a"] and [9223372036854775808].
@pytest.mark.parametrize(
    "cursor",
    ["x", "WzFd", "W251bGxd", "WyJhIl0", "WzkyMjMzNzIwMzY4NTQ3NzU4MDhd", "\0", "é", "a" * 10_000],
)
async def test_a_cursor_that_is_not_ours_is_refused(admin: httpx.AsyncClient, cursor: str) -> None:
    for path in ("/api/users", "/api/audit"):
        answer = await admin.get(path, params={"cursor": cursor})
        assert answer.status_code == 422 or (path == "/api/audit" and cursor.startswith("Wz"))


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"username": "Root"}, 409),
        ({"username": "local"}, 422),
        ({"username": "a b"}, 422),
        ({"username": "a\0b"}, 422),
        ({"username": ""}, 422),
        ({"username": "x" * 51}, 422),
        ({"username": "ｒｏｏｔ"}, 409),
        ({"role": "owner"}, 422),
        ({"role": None}, 422),
        ({"password": "short"}, 422),
        ({"email": "not an address"}, 422),
        ({"display_name": "a\u0007b"}, 422),
        ({"display_name": "x" * 101}, 422),
        ({"is_system": True}, 422),
        ({"id": str(uuid.UUID(int=1))}, 422),
    ],
)
async def test_accounts_that_are_not_right_are_refused(
    admin: httpx.AsyncClient, change: dict[str, object], status: int
) -> None:
    body = {"username": "ann", "role": "member", **change}
    answer = await admin.post("/api/users", json=body)
    assert answer.status_code == status, answer.text


async def test_a_profile_is_ones_own_and_bounded(sign_in: SignIn) -> None:
    ann = await sign_in("ann")
    body = {"display_name": " Ann  粗 ", "email": "ann@example.com"}
    changed = await ann.patch("/api/me", json={**body, "preferences": {"theme": "dark", "n": 1}})
    assert changed.json()["display_name"] == "Ann 粗"
    changed = await ann.patch(
        "/api/me", json={"preferences": {"n": None, "x": "\0"}, "email": None}
    )
    assert changed.json()["preferences"] == {"theme": "dark", "x": "\ufffd"}
    assert changed.json()["email"] is None
    assert (await ann.patch("/api/me", json={"role": "admin"})).status_code == 422
    large = {"preferences": {"x": "y" * 17_000}}
    assert (await ann.patch("/api/me", json=large)).status_code == 422


async def test_members_and_viewers_manage_nobody(sign_in: SignIn) -> None:
    for role in ("member", "viewer"):
        client = await sign_in(f"a-{role}", role)
        for method, path in (
            ("GET", "/api/users"),
            ("POST", "/api/users"),
            ("GET", f"/api/users/{uuid.UUID(int=1)}"),
            ("PATCH", f"/api/users/{uuid.UUID(int=1)}"),
            ("GET", "/api/audit"),
        ):
            body: dict[str, str] | None = {} if method in {"POST", "PATCH"} else None
            assert (await client.request(method, path, json=body)).status_code == 403


async def test_a_lost_password_is_replaced_through_a_link(
    admin: httpx.AsyncClient, sign_in: SignIn, browser: Browser
) -> None:
    ann = await sign_in("ann")
    path = f"/api/users/{await _id(ann)}"
    old = (await admin.post(f"{path}/link")).json()["link_token"]
    new = (await admin.post(f"{path}/link")).json()["link_token"]
    body = {"password": "a brand new one"}
    assert (await browser().post("/api/auth/setup", json={**body, "token": old})).status_code == 401
    answer = await browser().post("/api/auth/setup", json={**body, "token": new})
    assert answer.json()["user"]["role"] == "member"
    assert (await ann.get("/api/me")).status_code == 401


async def test_every_change_is_in_the_audit_log(
    admin: httpx.AsyncClient, sign_in: SignIn, database: Database
) -> None:
    ann = await sign_in("ann")
    await ann.post("/api/auth/login", json={"username": "ann", "password": "wrong password"})
    made = (await ann.post("/api/keys", json={"name": "k", "scopes": ["chat:use"]})).json()
    await ann.delete(f"/api/keys/{made['id']}")
    await admin.patch(f"/api/users/{await _id(ann)}", json={"role": "viewer"})
    entries = (await admin.get("/api/audit", params={"limit": 200})).json()["items"]
    assert [entry["action"] for entry in entries] == [
        "user.changed",
        "key.revoked",
        "key.created",
        "login.refused",
        "login.opened",
        "user.created",
        "login.opened",
        "first_admin.created",
    ]
    assert entries[0]["actor"]["name"] == "root"
    assert entries[0]["details"] == {"fields": ["role"], "role": "viewer"}
    assert PASSWORD not in str(entries)
    page = (await admin.get("/api/audit", params={"limit": 3})).json()
    rest = await admin.get("/api/audit", params={"limit": 200, "cursor": page["next_cursor"]})
    assert page["items"] + rest.json()["items"] == entries
    found = (await admin.get("/api/audit", params={"action": "key.created"})).json()["items"]
    assert [entry["target"]["id"] for entry in found] == [made["id"]]
    async with database.transaction() as tx:
        assert await audit.verify(tx) is None


def test_every_route_has_the_policy_it_should(settings: Settings) -> None:
    app = create_app(
        identity_rest.routes,
        settings=settings,
        authenticator=None,  # pyright: ignore[reportArgumentType] - nobody calls
        dependencies={"database": None, "identity": None, "settings": None},
    )
    asked: dict[str, set[str]] = {}
    for route in app.routes:
        if not isinstance(route, HTTPRoute) or route.path.startswith("/api/schema"):
            continue
        for handler in route.route_handlers:
            if handler.http_methods == {"OPTIONS"}:
                continue
            policy = handler.opt["policy"]
            kind = "public" if policy.is_public else str(policy.permission or "signed in")
            asked.setdefault(kind, set()).add(route.path)
    assert asked.pop("public") == {"/api/auth/link", "/api/auth/setup", "/api/auth/login"}
    assert all(path.startswith(("/api/me", "/api/auth/logout")) for path in asked.pop("signed in"))
    assert all(path.startswith("/api/users") for path in asked.pop(Permission.USERS_MANAGE))
    assert all(path.startswith("/api/keys") for path in asked.pop(Permission.KEYS_MANAGE))
    assert not asked
    assert app.openapi_schema.paths
