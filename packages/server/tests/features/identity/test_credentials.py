"""API keys, run tokens, agents' keys and the key of this machine."""

import base64
import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import OKPKey
from orchestra.features.identity import (
    Identity,
    ensure_local_key,
    mint_key,
    parse_key,
)
from orchestra.foundation import clock
from orchestra.foundation.auth import SYSTEM, Actor, ActorKind, Credential, Permission
from orchestra.foundation.database import Database
from orchestra.foundation.errors import Unauthenticated
from orchestra.foundation.settings import Settings
from people import Browser, SignIn

from .conftest import Later, Runs

pytestmark = pytest.mark.anyio

TASK = uuid.UUID(int=77)


async def test_a_key_is_shown_once_and_does_what_its_scopes_say(
    sign_in: SignIn, browser: Browser, database: Database
) -> None:
    ann = await sign_in("ann")
    body = {"name": "ci", "scopes": ["tasks:read", "tasks:read"], "expires_in_days": 1}
    made = (await ann.post("/api/keys", json=body)).json()
    assert made["key"].startswith(made["prefix"])
    listed = (await ann.get("/api/keys")).text
    assert made["key"] not in listed
    assert made["key"].split("_")[2] not in listed
    async with database.transaction() as tx:
        row = await tx.fetch_one("SELECT * FROM api_keys")
    assert made["key"].split("_")[2] not in str(row)
    program = browser()
    program.headers["authorization"] = f"Bearer {made['key']}"
    assert (await program.get("/api/me")).json()["permissions"] == ["tasks:read"]
    assert (await program.get("/api/keys")).status_code == 403
    assert (await program.post("/api/me/password", json={})).status_code in {403, 422}
    assert (await program.patch("/api/me", json={"display_name": "x"})).status_code == 403
    used = (await ann.get("/api/keys")).json()["items"][0]
    assert used["last_used_at"] is not None


async def test_nobody_gives_what_they_do_not_have(sign_in: SignIn, browser: Browser) -> None:
    ann = await sign_in("ann")
    for scopes in (["users:manage"], ["chat:use", "providers:manage"]):
        answer = await ann.post("/api/keys", json={"name": "k", "scopes": scopes})
        assert answer.status_code == 403
    made = await ann.post("/api/keys", json={"name": "k", "scopes": ["keys:manage"]})
    program = browser()
    program.headers["authorization"] = f"Bearer {made.json()['key']}"
    answer = await program.post("/api/keys", json={"name": "k", "scopes": ["chat:use"]})
    assert answer.status_code == 403
    for scopes in ([], ["no:such"], "chat:use"):
        answer = await ann.post("/api/keys", json={"name": "k", "scopes": scopes})
        assert answer.status_code == 422


async def test_a_key_ends_when_revoked_and_when_its_time_is_over(
    sign_in: SignIn, browser: Browser, identity: Identity, later: Later
) -> None:
    ann, bob = await sign_in("ann"), await sign_in("bob")
    keys = [
        (await ann.post("/api/keys", json={"name": "k", "scopes": ["chat:use"], **more})).json()
        for more in ({}, {"expires_in_days": 2})
    ]
    clients = [browser() for _ in keys]
    for client, key in zip(clients, keys, strict=True):
        client.headers["authorization"] = f"Bearer {key['key']}"
        assert (await client.get("/api/me")).status_code == 200
    assert (await bob.delete(f"/api/keys/{keys[0]['id']}")).status_code == 404
    assert (await ann.delete("/api/keys/%00")).status_code == 404
    assert (await ann.delete(f"/api/keys/{keys[0]['id']}")).status_code == 204
    assert (await clients[0].get("/api/me")).status_code == 401
    later(timedelta(days=2, seconds=1))
    identity.forget(uuid.UUID((await bob.get("/api/me")).json()["id"]))
    identity.forget(uuid.UUID((await ann.get("/api/me")).json()["id"]))
    assert (await clients[1].get("/api/me")).status_code == 401


def test_a_mistyped_key_is_refused_before_the_database_is_asked() -> None:
    minted = mint_key("aoc")
    parsed = parse_key("aoc", minted.text)
    assert parsed is not None
    assert parsed.id == minted.id
    assert parsed.matches(minted.secret_hash)
    assert not parsed.matches(bytes(32))
    flipped = "0" if minted.text[30] != "0" else "1"
    for wrong in (
        minted.text[:-1],
        minted.text[:30] + flipped + minted.text[31:],
        minted.text.upper(),
        minted.text + " ",
        minted.text.replace("aoc", "aok"),
        "",
        "aoc_",
    ):
        assert parse_key("aoc", wrong) is None


@pytest.mark.parametrize(
    "token",
    ["", "x", "aoc_", "aok_123", "a.b.c", "..", "\0", "é" * 100, "aoc_" + "0" * 5_000, "=" * 2_000],
)
async def test_rubbish_is_no_credential(identity: Identity, token: str) -> None:
    for credential in (Credential(bearer=token), Credential(cookie=token), Credential()):
        with pytest.raises(Unauthenticated):
            await identity.authenticate(credential)


async def test_a_run_may_call_models_while_its_lease_is_the_current_one(
    sign_in: SignIn, identity: Identity, runs: Runs
) -> None:
    user_id = uuid.UUID((await (await sign_in("ann")).get("/api/me")).json()["id"])
    token = identity.issue_run_token(TASK, 2, user_id, clock.now() + timedelta(hours=5))
    with pytest.raises(Unauthenticated, match="ended"):
        await identity.authenticate(Credential(bearer=token))
    runs.current.add((TASK, 2))
    actor = await identity.authenticate(Credential(bearer=token, ip="192.0.2.1"))
    assert actor.kind is ActorKind.RUN
    assert (actor.task_id, actor.epoch, actor.user_id) == (TASK, 2, user_id)
    assert actor.permissions == {Permission.MODELS_USE}
    assert (actor.is_admin, actor.ip) == (False, "192.0.2.1")
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert claims["exp"] - claims["iat"] <= 600


async def test_forged_run_tokens_are_refused(
    sign_in: SignIn, identity: Identity, runs: Runs, settings: Settings
) -> None:
    user_id = uuid.UUID((await (await sign_in("ann")).get("/api/me")).json()["id"])
    runs.current.add((TASK, 2))
    good = identity.issue_run_token(TASK, 2, user_id, clock.now() + timedelta(minutes=5))
    await identity.authenticate(Credential(bearer=good))
    key_file = settings.keys_dir / "jwt"
    assert key_file.stat().st_mode & 0o777 == 0o600
    ours = OKPKey.import_key(key_file.read_bytes())
    claims = json.loads(base64.urlsafe_b64decode(good.split(".")[1] + "=="))
    past = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp())

    def signed(change: dict[str, Any], key: OKPKey = ours, kind: str = "run+jwt") -> str:
        payload = {name: value for name, value in (claims | change).items() if value is not None}
        return jwt.encode({"alg": "Ed25519", "typ": kind}, payload, key, ["Ed25519"])

    def encoded(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    header, body, signature = good.split(".")
    unsigned = encoded({"alg": "none", "typ": "run+jwt"})
    forged = {
        "alg none": f"{unsigned}.{body}.",
        "alg none with signature": f"{unsigned}.{body}.{signature}",
        "alg HS256": f"{encoded({'alg': 'HS256', 'typ': 'run+jwt'})}.{body}.{signature}",
        "other body": f"{header}.{encoded(claims | {'epoch': 3})}.{signature}",
        "cut signature": good[:-4],
        "other key": signed({}, OKPKey.generate_key("Ed25519")),
        "other type": signed({}, kind="JWT"),
        "other audience": signed({"aud": "orchestra:api"}),
        "no audience": signed({"aud": None}),
        "expired": signed({"exp": past}),
        "no expiry": signed({"exp": None}),
        "expiry as text": signed({"exp": "never"}),
        "no task": signed({"sub": None}),
        "task that is no id": signed({"sub": "x"}),
        "epoch as object": signed({"epoch": {}}),
        "no user": signed({"uid": None}),
        "unknown user": signed({"uid": str(uuid.UUID(int=5))}),
    }
    for name, token in forged.items():
        assert not await _is_accepted(identity, token), name


async def _is_accepted(identity: Identity, token: str) -> bool:
    try:
        await identity.authenticate(Credential(bearer=token))
    except Unauthenticated:
        return False
    return True


async def test_a_run_token_ends_in_time(
    sign_in: SignIn, identity: Identity, runs: Runs, later: Later
) -> None:
    user_id = uuid.UUID((await (await sign_in("ann")).get("/api/me")).json()["id"])
    runs.current.add((TASK, 2))
    token = identity.issue_run_token(TASK, 2, user_id, clock.now() + timedelta(minutes=1))
    await identity.authenticate(Credential(bearer=token))
    later(timedelta(seconds=61))
    identity.forget(user_id)
    with pytest.raises(Unauthenticated, match="expired"):
        await identity.authenticate(Credential(bearer=token))


async def test_agents_keys_are_checked_by_whom_they_belong_to(
    database: Database, settings: Settings
) -> None:
    async def check(token: str) -> Actor:
        if token != "aok_good":
            raise Unauthenticated
        return SYSTEM

    identity = Identity(database, settings, check_agent_key=check)
    assert (await identity.authenticate(Credential(bearer="aok_good"))).id == "system"
    with pytest.raises(Unauthenticated):
        await identity.authenticate(Credential(bearer="aok_bad"))


async def test_this_machines_key_may_do_everything_and_is_in_no_list(
    database: Database, settings: Settings, identity: Identity, admin: httpx.AsyncClient
) -> None:
    path = await ensure_local_key(database, settings)
    assert path.stat().st_mode & 0o777 == 0o600
    text = path.read_text()
    assert await ensure_local_key(database, settings) == path
    assert path.read_text() == text
    actor = await identity.authenticate(Credential(bearer=text.strip()))
    assert actor.permissions == set(Permission)
    users = (await admin.get("/api/users")).json()["items"]
    assert [user["username"] for user in users] == ["root"]
    for answer in (
        await admin.get(f"/api/users/{actor.user_id}"),
        await admin.patch(f"/api/users/{actor.user_id}", json={"status": "disabled"}),
        await admin.post(f"/api/users/{actor.user_id}/link"),
    ):
        assert answer.status_code == 404


@pytest.mark.parametrize("damage", ["", "rubbish", "aoc_0", b"\xff\xfe"])
async def test_a_lost_or_damaged_local_key_is_replaced(
    database: Database, settings: Settings, identity: Identity, damage: str | bytes
) -> None:
    path = await ensure_local_key(database, settings)
    old = path.read_text().strip()
    path.write_bytes(damage if isinstance(damage, bytes) else damage.encode())
    path.chmod(0o644)
    await ensure_local_key(database, settings)
    new = path.read_text().strip()
    assert path.stat().st_mode & 0o777 == 0o600
    await identity.authenticate(Credential(bearer=new))
    with pytest.raises(Unauthenticated):
        await identity.authenticate(Credential(bearer=old))
