"""Setting providers up: keys that stay secret, addresses that are checked, the local model."""

import dataclasses
import uuid
from typing import Any, cast

import httpx
import pytest
from litestar.routes import HTTPRoute
from openai import AsyncOpenAI
from orchestra.engines.testing import RunningModel
from orchestra.features import audit
from orchestra.features.identity import Identity
from orchestra.features.providers import Providers
from orchestra.features.providers import rest as providers_rest
from orchestra.features.providers.errors import BadKeyEncryptionKey, UnreadableKey
from orchestra.features.providers.service.vault import Vault
from orchestra.foundation.auth import Permission
from orchestra.foundation.database import Database
from orchestra.foundation.settings import Settings
from orchestra.foundation.web import create_app

from .conftest import AddProvider, Calls
from .fakes import FakeProvider, answering, completion, failing

pytestmark = pytest.mark.anyio

KEY = "sk-live-abcdefgh-9876"


async def test_a_key_is_never_shown_and_lies_encrypted(
    http: httpx.AsyncClient, add: AddProvider, database: Database
) -> None:
    made = await add(api_key=KEY)
    assert made["key_last4"] == "9876"
    async with database.transaction() as tx:
        row = await tx.fetch_one("SELECT * FROM providers WHERE name = 'p'")
        log = await tx.fetch("SELECT details FROM audit_log")
        assert await audit.verify(tx) is None
    assert row is not None
    assert KEY.encode() not in bytes(row["key_ciphertext"])
    for text in (str(log), (await http.get("/api/providers")).text, str(made)):
        assert KEY not in text


async def test_another_address_or_kind_clears_the_key(
    http: httpx.AsyncClient, add: AddProvider, fake: FakeProvider
) -> None:
    made = await add()
    path = f"/api/providers/{made['id']}"
    same = await http.patch(path, json={"base_url": fake.url + "/", "name": "q"})
    assert (same.json()["name"], same.json()["key_last4"]) == ("q", "6789")
    for change in ({"base_url": fake.url + "/other"}, {"kind": "anthropic"}):
        await http.patch(path, json={"api_key": KEY})
        assert (await http.patch(path, json=change)).json()["key_last4"] is None
    both = await http.patch(path, json={"base_url": fake.url, "api_key": KEY})
    assert both.json()["key_last4"] == "9876"
    assert (await http.patch(path, json={"api_key": None})).json()["key_last4"] is None


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.com/v1",
        "https://127.0.0.2/v1",
        "https://[::1]/v1",
        "https://[::ffff:10.0.0.1]/v1",
        "https://169.254.169.254/latest",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://user:secret@api.example.com/",
        "https://api.example.com/v1?x=1",
        "file:///etc/passwd",
        "gopher://x/",
        "https://",
        "not a url",
        "https://exa\0mple.com/",
        "",
    ],
)
async def test_addresses_that_lead_inside_are_refused(http: httpx.AsyncClient, url: str) -> None:
    body = {"name": "q", "kind": "openai", "base_url": url}
    answer = await http.post("/api/providers", json=body)
    if url == "":
        assert answer.json()["base_url"] == "https://api.openai.com/v1"
    elif url in {"https://2130706433/", "https://0x7f.1/"}:
        provider_id = answer.json().get("id")
        if answer.status_code == 201:  # not a literal to us, so it is caught where it resolves
            tested = (await http.post(f"/api/providers/{provider_id}/test")).json()
            assert tested["ok"] is False
    else:
        assert answer.status_code == 422, answer.text


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Local"},
        {"name": "local"},
        {"name": "a/b"},
        {"name": ""},
        {"name": "x" * 51},
        {"kind": "other"},
        {"api_key": "two words"},
        {"api_key": "ключ"},
        {"api_key": "a\0b"},
        {"surprise": 1},
    ],
)
async def test_what_is_not_right_is_refused(
    http: httpx.AsyncClient, change: dict[str, object]
) -> None:
    body = {"name": "q", "kind": "openai", **change}
    assert (await http.post("/api/providers", json=body)).status_code == 422


async def test_names_are_unique_and_missing_providers_are_404(
    http: httpx.AsyncClient, add: AddProvider, fake: FakeProvider
) -> None:
    made = await add()
    body = {"name": "p", "kind": "openai", "base_url": fake.url}
    assert (await http.post("/api/providers", json=body)).json()["code"] == "name_taken"
    assert (await http.delete(f"/api/providers/{made['id']}")).status_code == 204
    missing = f"/api/providers/{uuid.uuid4()}"
    for answer in (
        await http.patch(missing, json={"enabled": False}),
        await http.delete(missing),
        await http.post(f"{missing}/test"),
    ):
        assert answer.status_code == 404


async def test_a_provider_switched_off_is_not_called(
    http: httpx.AsyncClient, add: AddProvider, fake: FakeProvider
) -> None:
    made = await add()
    await http.patch(f"/api/providers/{made['id']}", json={"enabled": False})
    body: dict[str, Any] = {"model": "p/m", "messages": []}
    assert (await http.post("/v1/chat/completions", json=body)).status_code == 404
    assert fake.requests == []


async def test_a_test_says_in_words_what_is_wrong(
    http: httpx.AsyncClient, add: AddProvider, fake: FakeProvider
) -> None:
    made = await add()
    path = f"/api/providers/{made['id']}/test"
    fake.will(failing(401, "bad key"), failing(404), answering({"hello": 1}), answering(["x"]))
    for wanted in ("refused the key", "check the base URL", "no list of models", "no list"):
        tested = (await http.post(path)).json()
        assert (tested["ok"], tested["models"]) == (False, [])
        assert wanted in tested["error"]
    await http.patch(f"/api/providers/{made['id']}", json={"base_url": "http://127.0.0.1:1/v1"})
    assert "refused" in (await http.post(path)).json()["error"]


async def test_only_administrators_manage_and_everybody_with_a_model_calls(
    base_url: str, http: httpx.AsyncClient, add: AddProvider, fake: FakeProvider
) -> None:
    await add()
    made = await http.post("/api/keys", json={"name": "k", "scopes": ["models:use"]})
    headers = {"authorization": f"Bearer {made.json()['key']}"}
    fake.will(answering(completion("a")))
    async with httpx.AsyncClient(base_url=base_url, headers=headers) as client:
        assert (await client.get("/api/providers")).status_code == 403
        body: dict[str, Any] = {"model": "p/m", "messages": []}
        assert (await client.post("/v1/chat/completions", json=body)).status_code == 200
        refused = await client.get("/api/users")
        assert refused.status_code == 403
    async with httpx.AsyncClient(base_url=base_url) as client:
        assert (await client.get("/v1/models")).status_code == 401


def test_every_route_has_the_policy_it_should(settings: Settings) -> None:
    app = create_app(
        providers_rest.routes,
        settings=settings,
        authenticator=Identity(cast("Database", None), settings),
        dependencies={"database": None, "providers": None},
    )
    asked = {
        (method, route.path): handler.opt["policy"].permission
        for route in app.routes
        if isinstance(route, HTTPRoute) and not route.path.startswith("/api/schema")
        for handler in route.route_handlers
        for method in handler.http_methods - {"OPTIONS"}
    }
    models = {path for path, permission in asked.items() if permission is Permission.MODELS_USE}
    assert models == {
        ("GET", "/api/models"),
        ("GET", "/v1/models"),
        ("GET", "/v1/models/{model_id:path}"),
        ("POST", "/v1/chat/completions"),
    }
    others = {asked[route] for route in asked if route not in models}
    assert others == {Permission.PROVIDERS_MANAGE}
    assert app.openapi_schema.paths is not None
    assert "/v1/chat/completions" in app.openapi_schema.paths


async def test_a_ciphertext_is_worth_nothing_in_another_row(
    database: Database, settings: Settings
) -> None:
    vault = await Vault.open(database, settings)
    stored = vault.encrypt(KEY, place="providers/1/api_key")
    again = await Vault.open(database, settings)
    assert again.decrypt(stored, place="providers/1/api_key") == KEY
    tampered = stored[:-1] + bytes([stored[-1] ^ 1])
    for value, place in (
        (stored, "providers/2/api_key"),
        (tampered, "providers/1/api_key"),
        (b"", "providers/1/api_key"),
        (stored[:20], "providers/1/api_key"),
    ):
        with pytest.raises(UnreadableKey):
            vault.decrypt(value, place=place)


async def test_a_wrong_key_encryption_key_is_found_at_the_start(
    database: Database, settings: Settings
) -> None:
    await Vault.open(database, settings)
    kek = settings.keys_dir / "kek"
    assert kek.stat().st_mode & 0o777 == 0o600
    for wrong in ("A" * 43 + "=", "short", "not base64 !"):
        with pytest.raises(BadKeyEncryptionKey):
            await Vault.open(database, dataclasses.replace(settings, key_encryption_key=wrong))


@pytest.mark.timeout(90)
async def test_the_local_model_follows_its_server_to_another_port(
    database: Database, settings: Settings, model: RunningModel
) -> None:
    before = dataclasses.replace(
        settings, egress_allowed_hosts=(), model_url="http://127.0.0.1:1/v1"
    )
    await (await Providers.open(database, before)).close()
    after = dataclasses.replace(before, model_url=model.url, model_key=model.key)
    opened = await Providers.open(database, after)
    try:
        default = (await opened.catalog.current()).default
        assert default is not None
        assert default.model == "smollm2-135m-instruct"
        found = await opened.test(default.target.id)
        assert (found.ok, found.models) == (True, ["smollm2-135m-instruct"])
    finally:
        await opened.close()
    without = await Providers.open(database, settings)
    assert (await without.catalog.current()).targets == {}
    await without.close()


# Loading the model and its first tokens take long on a machine that does something else, too.
@pytest.mark.timeout(90)
class TestWithTheLocalModel:
    """The whole way with a real model server."""

    @pytest.fixture
    def settings(self, settings: Settings, model: RunningModel) -> Settings:
        return dataclasses.replace(
            settings, egress_allowed_hosts=(), model_url=model.url, model_key=model.key
        )

    async def test_it_streams_and_counts(self, openai: AsyncOpenAI, calls: Calls) -> None:
        stream = await openai.chat.completions.create(
            model="default",
            messages=[{"role": "user", "content": "Say hello."}],
            max_tokens=12,
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [item async for item in stream]
        assert "".join(choice.delta.content or "" for item in chunks for choice in item.choices)
        assert chunks[-1].usage is not None
        [call] = await calls()
        assert call["completion_tokens"] == chunks[-1].usage.completion_tokens > 0
        assert call["model"] == "smollm2-135m-instruct"

    async def test_it_can_only_be_switched_on_and_off(self, http: httpx.AsyncClient) -> None:
        [local] = (await http.get("/api/providers")).json()["items"]
        path = f"/api/providers/{local['id']}"
        assert local["is_local"] is True
        assert (await http.patch(path, json={"base_url": "https://x.example"})).status_code == 409
        assert (await http.delete(path)).status_code == 409
        assert (await http.patch(path, json={"enabled": False})).status_code == 200
