"""The first administrator, invited people, passwords and logins."""

import asyncio
import statistics
import time
import uuid
from datetime import timedelta

import httpx
import pytest
from orchestra.features.identity import Identity, first_admin_link
from orchestra.features.identity.service import throttle
from orchestra.foundation.database import Database
from orchestra.foundation.settings import Settings
from people import PASSWORD, Browser, SignIn

from .conftest import Later

pytestmark = pytest.mark.anyio


async def test_the_first_administrator_signs_in_once_with_the_newest_link(
    browser: Browser, database: Database, settings: Settings
) -> None:
    old = await first_admin_link(database, settings)
    token = await first_admin_link(database, settings)
    assert token
    assert token != old
    client = browser()
    look = await client.post("/api/auth/link", json={"token": token})
    assert look.json()["purpose"] == "first_admin"
    assert look.json()["needs_account"] is True
    body = {"token": token, "username": "root", "password": PASSWORD}
    refused = await client.post("/api/auth/setup", json={**body, "token": old})
    assert (refused.status_code, refused.json()["code"]) == (401, "invalid_link")
    answer = await client.post("/api/auth/setup", json=body)
    assert answer.status_code == 201
    assert answer.json()["user"]["role"] == "admin"
    assert "users:manage" in answer.json()["permissions"]
    assert (await client.get("/api/me")).json()["username"] == "root"
    again = await browser().post("/api/auth/setup", json={**body, "username": "other"})
    assert again.status_code == 401
    assert await first_admin_link(database, settings) is None


async def test_of_many_who_use_one_link_at_once_one_gets_it(
    browser: Browser, database: Database, settings: Settings
) -> None:
    token = await first_admin_link(database, settings)
    answers = await asyncio.gather(
        *(
            browser().post(
                "/api/auth/setup",
                json={"token": token, "username": f"root{number}", "password": PASSWORD},
            )
            for number in range(4)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [201, 401, 401, 401]


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(
    browser: Browser, admin: httpx.AsyncClient
) -> None:
    answer = await browser().post(
        "/api/auth/login", json={"username": "ROOT", "password": PASSWORD}
    )
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-orchestra=")
    for part in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"):
        assert part in cookie
    assert "Domain" not in cookie


async def test_another_site_cannot_sign_anybody_in(
    browser: Browser, admin: httpx.AsyncClient
) -> None:
    body = {"username": "root", "password": PASSWORD}
    for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}):
        answer = await browser().post("/api/auth/login", json=body, headers=headers)
        assert answer.status_code == 403


async def test_an_invited_person_chooses_a_password_with_a_one_time_link(
    browser: Browser, admin: httpx.AsyncClient
) -> None:
    invited = (await admin.post("/api/users", json={"username": "zoë", "role": "viewer"})).json()
    body = {"token": invited["link_token"], "password": PASSWORD}
    client = browser()
    look = (await client.post("/api/auth/link", json={"token": body["token"]})).json()
    assert (look["purpose"], look["needs_account"], look["username"]) == ("sign_in", False, "zoë")
    answer = await client.post("/api/auth/setup", json=body)
    assert answer.json()["user"]["role"] == "viewer"
    assert (await browser().post("/api/auth/setup", json=body)).status_code == 401
    signed_in = await browser().post(
        "/api/auth/login", json={"username": "zoë", "password": PASSWORD}
    )
    assert signed_in.status_code == 200


async def test_a_link_ends_after_a_day(
    browser: Browser, database: Database, settings: Settings, later: Later
) -> None:
    token = await first_admin_link(database, settings)
    later(timedelta(hours=24, seconds=1))
    answer = await browser().post("/api/auth/link", json={"token": token})
    assert answer.json()["code"] == "invalid_link"


@pytest.mark.parametrize(
    ("username", "password"),
    [("root", "wrong password"), ("nobody", PASSWORD), ("local", "x" * 9), ("\0", "\0"), ("", "")],
)
async def test_a_refusal_does_not_say_what_was_wrong(
    browser: Browser, admin: httpx.AsyncClient, username: str, password: str
) -> None:
    answer = await browser().post(
        "/api/auth/login", json={"username": username, "password": password}
    )
    assert answer.status_code == 401
    assert answer.json()["code"] == "invalid_credentials"
    assert answer.json()["detail"] == "The user name or the password is wrong."


async def test_an_unknown_name_takes_as_long_as_a_wrong_password(
    browser: Browser, sign_in: SignIn
) -> None:
    """Measured as the CPU time of all threads, which a busy machine does not stretch."""
    await sign_in("ann")
    client = browser()

    async def seconds(name: str) -> float:
        started = time.process_time()
        await client.post("/api/auth/login", json={"username": name, "password": "wrong pass"})
        return time.process_time() - started

    await seconds("warm-up")
    known, unknown = list[float](), list[float]()
    for number in range(4):
        known.append(await seconds("ann"))
        unknown.append(await seconds(f"nobody{number}"))
    assert 0.7 < statistics.median(known) / statistics.median(unknown) < 1.4


async def test_guessing_is_slowed_down_and_the_right_password_waits_too(
    browser: Browser, sign_in: SignIn, later: Later
) -> None:
    await sign_in("ann")
    later(timedelta())
    client = browser()
    wrong = {"username": "ann", "password": "wrong password"}
    codes = [(await client.post("/api/auth/login", json=wrong)).status_code for _ in range(6)]
    assert codes == [401, 401, 401, 401, 401, 429]
    right = {"username": "Ann", "password": PASSWORD}
    refused = await client.post("/api/auth/login", json=right)
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    later(timedelta(seconds=61))
    assert (await client.post("/api/auth/login", json=right)).status_code == 200
    assert (await client.post("/api/auth/login", json=wrong)).status_code == 401


async def test_many_guesses_at_once_do_not_slip_through(browser: Browser, sign_in: SignIn) -> None:
    await sign_in("ann")
    client = browser()
    answers = await asyncio.gather(
        *(
            client.post("/api/auth/login", json={"username": "ann", "password": f"guess {number}"})
            for number in range(20)
        )
    )
    assert sum(answer.status_code == 401 for answer in answers) <= 5


async def test_one_address_cannot_try_many_names(database: Database, later: Later) -> None:
    later(timedelta())

    async def wait_of(ip: str, name: str) -> float | None:
        async with database.transaction() as tx:
            return await throttle.begin(tx, username=name, ip=ip)

    for ip, neighbour, stranger in (
        ("203.0.113.9", "203.0.113.9", "203.0.113.10"),
        ("2001:db8::1", "2001:db8::ffff", "2001:db8:0:1::1"),
    ):
        waits = [await wait_of(ip, f"{ip}-{number}") for number in range(30)]
        assert waits == [None] * 30
        assert await wait_of(neighbour, "one more") == 1.0
        assert await wait_of(stranger, f"not {ip}") is None


@pytest.mark.parametrize(
    "password",
    ["short", "x" * 257, "password1", "ROOTROOT1", "aaaaaaaaaaaa", "QWERTYUIOP", "ai-orchestra"],
)
async def test_passwords_that_are_tried_first_are_refused(
    browser: Browser, database: Database, settings: Settings, password: str
) -> None:
    token = await first_admin_link(database, settings)
    body = {"token": token, "username": "rootroot1", "password": password}
    answer = await browser().post("/api/auth/setup", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "weak_password")
    kept = await browser().post(
        "/api/auth/setup", json={**body, "password": "粗体 mit 🔑" + "x" * 240}
    )
    assert kept.status_code == 201


async def test_logging_out_ends_the_login(sign_in: SignIn, browser: Browser) -> None:
    client = await sign_in("ann")
    cookie = client.cookies["__Host-orchestra"]
    assert (await client.post("/api/auth/logout")).status_code == 204
    thief = browser()
    thief.cookies.set("__Host-orchestra", cookie)
    assert (await thief.get("/api/me")).status_code == 401


async def test_logins_are_listed_and_ended_one_by_one(sign_in: SignIn, browser: Browser) -> None:
    first = await sign_in("ann")
    second = browser()
    await second.post("/api/auth/login", json={"username": "ann", "password": PASSWORD})
    logins = (await second.get("/api/me/logins")).json()["items"]
    assert [login["current"] for login in logins] == [True, False]
    stranger = await sign_in("bob")
    other = logins[1]["id"]
    assert (await stranger.delete(f"/api/me/logins/{other}")).status_code == 404
    assert (await first.get("/api/me")).status_code == 200
    assert (await second.delete(f"/api/me/logins/{other}")).status_code == 204
    assert (await first.get("/api/me")).status_code == 401
    assert (await second.get("/api/me")).status_code == 200


async def test_a_login_ends_when_unused_and_at_the_latest_after_a_month(
    sign_in: SignIn, identity: Identity, later: Later
) -> None:
    idle, busy = await sign_in("ann"), await sign_in("bob")
    user_id = uuid.UUID((await busy.get("/api/me")).json()["id"])
    for day in range(6, 30, 6):
        later(timedelta(days=day))
        identity.forget(user_id)
        assert (await busy.get("/api/me")).status_code == 200
    assert (await idle.get("/api/me")).status_code == 401
    later(timedelta(days=30, seconds=1))
    identity.forget(user_id)
    assert (await busy.get("/api/me")).status_code == 401


async def test_a_new_password_ends_the_other_logins(sign_in: SignIn, browser: Browser) -> None:
    here, there = await sign_in("ann"), browser()
    await there.post("/api/auth/login", json={"username": "ann", "password": PASSWORD})
    body = {"current_password": "not it at all", "new_password": "another good one"}
    wrong = await here.post("/api/me/password", json=body)
    assert (wrong.status_code, wrong.json()["code"]) == (422, "wrong_password")
    changed = await here.post("/api/me/password", json={**body, "current_password": PASSWORD})
    assert changed.status_code == 204
    assert (await here.get("/api/me")).status_code == 200
    assert (await there.get("/api/me")).status_code == 401
    login = {"username": "ann", "password": "another good one"}
    assert (await there.post("/api/auth/login", json=login)).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"[]",
        b"not json",
        b'{"username": 1, "password": "x"}',
        b'{"username": "a", "password": "b", "extra": 1}',
        b'{"username": "\\ud800", "password": "b"}',
        b'{"username": "\xed\xa0\x80", "password": "b"}',
        b'{"username": "' + b"a" * 400 + b'", "password": "b"}',
        b"[" * 100_000,
        b'{"username": "a", "password": "' + b"x" * 5 * 1024**2 + b'"}',
    ],
    ids=range(10),
)
async def test_malformed_bodies_are_refused(browser: Browser, body: bytes) -> None:
    answer = await browser().post(
        "/api/auth/login", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code in {400, 413, 422}
    assert answer.headers["content-type"] == "application/problem+json"
