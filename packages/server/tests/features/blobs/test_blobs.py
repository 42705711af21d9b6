"""Large values: stored in chunks, once for each content, given only to those who may see them."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from orchestra.features.blobs import jobs, rest
from orchestra.features.blobs.errors import RangeNotSatisfiable
from orchestra.features.blobs.service.reading import asked_span
from orchestra.features.blobs.service.storing import Announced, Storing, chunked
from orchestra.features.blobs.types import CHUNK_BYTES, Span
from orchestra.features.identity import Identity
from orchestra.foundation import ids
from orchestra.foundation.auth import ActorKind, Permission, Role
from orchestra.foundation.web import create_app

pytestmark = pytest.mark.anyio

LARGE = bytes(range(256)) * 4096 * 3 + b"the end"  # three chunks and a bit


def app_of(world: Any, **changes: Any) -> Any:
    settings = world.settings.with_values("test", **changes)
    return create_app(
        rest.routes,
        settings=settings,
        authenticator=Identity(world.database, world.settings),
        dependencies={"database": world.database, "settings": settings},
    )


def client_of(world: Any, key: str, **changes: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app_of(world, **changes)),
        base_url="http://localhost",
        headers={"authorization": f"Bearer {key}"},
    )


@pytest.fixture
async def http(world: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(world, world.key) as client:
        yield client


@pytest.fixture
async def member(world: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(world, (await world.member("mia")).key) as client:
        yield client


async def put(client: httpx.AsyncClient, content: bytes, **headers: str) -> Any:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 300_000):
            yield content[start : start + 300_000]

    answer = await client.put("/api/blobs", content=pieces(), headers=headers)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def count(world: Any, table: str) -> int:
    async with world.database.transaction() as tx:
        return await tx.fetch_value(f"SELECT count(*) FROM {table}")  # noqa: S608 - ours


async def test_a_large_value_comes_back_as_it_went_in(world: Any, http: httpx.AsyncClient) -> None:
    made = await put(http, LARGE, **{"content-type": "application/pdf"})
    digest = hashlib.sha256(LARGE).hexdigest()
    assert made == {"blob": digest, "size": len(LARGE), "media_type": "application/pdf"}
    got = await http.get(f"/api/blobs/{digest}")
    assert got.content == LARGE
    assert got.headers["content-type"] == "application/pdf"
    assert got.headers["content-disposition"] == "attachment"
    async with world.database.transaction() as tx:
        sizes = await tx.fetch("SELECT octet_length(content) AS size FROM blob_chunks ORDER BY 1")
    assert [row["size"] for row in sizes] == [7, CHUNK_BYTES, CHUNK_BYTES, CHUNK_BYTES]


async def test_nothing_is_something_too(http: httpx.AsyncClient) -> None:
    made = await put(http, b"")
    assert (await http.get(f"/api/blobs/{made['blob']}")).content == b""


async def test_the_same_content_is_kept_once(
    world: Any, http: httpx.AsyncClient, member: httpx.AsyncClient
) -> None:
    made = [await put(client, LARGE) for client in (http, http, member)]
    assert len({blob["blob"] for blob in made}) == 1
    assert (await count(world, "blob_uploads"), await count(world, "blob_chunks")) == (1, 4)


async def test_many_who_store_the_same_at_once_have_one_blob(
    world: Any, http: httpx.AsyncClient
) -> None:
    made = await asyncio.gather(*(put(http, LARGE[:2_000_000]) for _ in range(6)))
    assert len({blob["blob"] for blob in made}) == 1
    assert await count(world, "blob_uploads") == 1
    assert len((await http.get(f"/api/blobs/{made[0]['blob']}")).content) == 2_000_000


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-9", 0, 10),
        ("bytes=-7", len(LARGE) - 7, len(LARGE)),
        (f"bytes={CHUNK_BYTES - 2}-{CHUNK_BYTES + 1}", CHUNK_BYTES - 2, CHUNK_BYTES + 2),
        (f"bytes={len(LARGE) - 3}-", len(LARGE) - 3, len(LARGE)),
        ("bytes=5-99999999999", 5, len(LARGE)),
    ],
)
async def test_a_part_is_given(http: httpx.AsyncClient, asked: str, start: int, end: int) -> None:
    blob = (await put(http, LARGE))["blob"]
    got = await http.get(f"/api/blobs/{blob}", headers={"range": asked})
    assert (got.status_code, got.content == LARGE[start:end]) == (206, True)
    assert got.headers["content-range"] == f"bytes {start}-{end - 1}/{len(LARGE)}"


def test_ranges_that_make_no_sense() -> None:
    for whole in (None, "", "bytes=-", "lines=1-2", "bytes=1-2,5-6", "bytes=9-3"):
        assert asked_span(whole, 10) is None
    for outside in ("bytes=10-", "bytes=10-20", "bytes=-0"):
        with pytest.raises(RangeNotSatisfiable):
            asked_span(outside, 10)
    assert asked_span("bytes=-99", 10) == Span(0, 10)


async def test_who_has_it_already_is_not_sent_it_again(http: httpx.AsyncClient) -> None:
    blob = (await put(http, b"once"))["blob"]
    same = {"if-none-match": f'"{blob}"'}
    assert (await http.get(f"/api/blobs/{blob}", headers=same)).status_code == 304


async def test_too_large_a_blob_is_refused_and_leaves_nothing(world: Any) -> None:
    async with client_of(world, world.key, max_blob_bytes=2_000_000) as http:
        announced = await http.put("/api/blobs", content=LARGE)

        async def pieces() -> AsyncIterator[bytes]:  # of an unknown length
            yield LARGE

        streamed = await http.put("/api/blobs", content=pieces())
    for answer in (announced, streamed):
        assert (answer.status_code, answer.json()["code"]) == (413, "blob_too_large")
        assert "2000000 bytes" in answer.json()["detail"]
    assert (await count(world, "blob_uploads"), await count(world, "blob_chunks")) == (0, 0)


async def test_one_person_keeps_a_bounded_amount(world: Any) -> None:
    async with client_of(world, world.key, max_user_blob_bytes=1_000_000) as http:
        await put(http, b"x" * 900_000)
        answer = await http.put("/api/blobs", content=b"y" * 200_000)
    assert (answer.status_code, answer.json()["code"]) == (413, "blob_quota")
    assert await count(world, "blob_uploads") == 1


async def test_other_content_than_announced_is_refused(world: Any, http: httpx.AsyncClient) -> None:
    answer = await http.put("/api/blobs", params={"sha256": "0" * 64}, content=b"else")
    assert (answer.status_code, answer.json()["code"]) == (422, "blob_mismatch")
    bad = await http.put("/api/blobs", params={"sha256": "nonsense"}, content=b"x")
    assert bad.status_code == 422
    kind = await http.put("/api/blobs", content=b"x", headers={"content-type": "no type"})
    assert kind.status_code == 422
    assert await count(world, "blob_uploads") == 0


async def test_blobs_of_others_do_not_exist(
    http: httpx.AsyncClient, member: httpx.AsyncClient
) -> None:
    mine = (await put(http, b"secret"))["blob"]
    assert (await member.get(f"/api/blobs/{mine}")).json()["code"] == "blob_not_found"
    theirs = (await put(member, b"theirs"))["blob"]
    assert (await http.get(f"/api/blobs/{theirs}")).status_code == 200, "an administrator may"
    assert (await member.get("/api/blobs/nonsense")).status_code == 404


async def test_a_viewer_reads_and_does_not_write(world: Any, http: httpx.AsyncClient) -> None:
    del http
    viewer = replace(
        (await world.member("vera")).actor,
        role=Role.VIEWER,
        permissions=frozenset({Permission.TASKS_READ}),
    )

    class Known:
        async def authenticate(self, _credential: object) -> Any:
            return viewer

    app = app_of(world)
    app.state["authenticator"] = Known()
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://localhost"
    ) as client:
        assert (await client.put("/api/blobs", content=b"x")).status_code == 403


async def test_a_run_reads_what_it_has_stored_itself_and_no_more(world: Any) -> None:
    person = (await world.member("rob")).actor
    storing = Storing(world.database, world.settings)

    async def store(actor: Any, content: bytes) -> str:
        async def once() -> AsyncIterator[bytes]:
            yield content

        return (await storing.store(actor, Announced(), once())).sha256

    run = replace(person, kind=ActorKind.RUN, task_id=ids.new_id(), role=Role.VIEWER)
    other_run = replace(run, task_id=ids.new_id())
    private, own = await store(person, b"private"), await store(run, b"of the run")

    async def status(actor: Any, blob: str) -> int:
        class Known:
            async def authenticate(self, _credential: object) -> Any:
                return actor

        app = app_of(world)
        app.state["authenticator"] = Known()
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url="http://localhost"
        ) as client:
            return (await client.get(f"/api/blobs/{blob}")).status_code

    assert [await status(actor, own) for actor in (run, person, other_run)] == [200, 200, 404]
    assert [await status(actor, private) for actor in (person, run)] == [200, 404]


async def test_what_is_broken_off_and_what_nobody_uses_is_swept_away(
    world: Any, http: httpx.AsyncClient
) -> None:
    used, unused, fresh = [(await put(http, text))["blob"] for text in (b"a", b"b", b"c")]
    task = await world.submit("echo", 1)
    async with world.database.transaction() as tx:
        broken = ids.new_id()
        await tx.execute("INSERT INTO blob_uploads (id, touched_at) VALUES ($1, now())", broken)
        await tx.execute(
            "INSERT INTO blob_references (task_id, sha256, user_id) VALUES ($1, $2, $3)",
            task.id,
            bytes.fromhex(used),
            world.actor.user_id,
        )
        await tx.execute(
            """
            UPDATE blob_uploads SET touched_at = now() - interval '25 hours'
            WHERE sha256 IS NULL OR sha256 <> $1
            """,
            bytes.fromhex(fresh),
        )
    await jobs.sweep(world.database, world.settings)()
    found = [(await http.get(f"/api/blobs/{blob}")).status_code for blob in (used, unused, fresh)]
    assert found == [200, 404, 200]
    async with world.database.transaction() as tx:
        await tx.execute("DELETE FROM tasks")
    await jobs.sweep(world.database, world.settings)()
    assert (await http.get(f"/api/blobs/{used}")).status_code == 404
    assert await count(world, "blob_uploads") == 1


async def test_an_upload_that_breaks_off_is_no_blob(world: Any) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * (CHUNK_BYTES + 1)
        raise ConnectionResetError

    storing = Storing(world.database, world.settings)
    with pytest.raises(ConnectionResetError):
        await storing.store(world.actor, Announced(), broken())
    assert await count(world, "blob_uploads") == 0


async def test_a_sender_that_goes_away_leaves_nothing(world: Any) -> None:
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": b"x" * (2 * CHUNK_BYTES), "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0) if len(messages) > 1 else messages[0]

    async def send(message: Any) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": "http",
        "http_version": "1.1",
        "method": "PUT",
        "scheme": "http",
        "path": "/api/blobs",
        "raw_path": b"/api/blobs",
        "query_string": b"",
        "root_path": "",
        "server": ("localhost", 80),
        "client": ("127.0.0.1", 1),
        "extensions": {},
        "headers": [
            (b"host", b"localhost"),
            (b"authorization", f"Bearer {world.key}".encode()),
            (b"transfer-encoding", b"chunked"),
        ],
    }
    await app_of(world)(scope, receive, send)
    assert sent[0]["status"] == 400
    assert b"broken_off" in sent[1]["body"]
    assert await count(world, "blob_uploads") == 0


async def test_never_more_than_a_chunk_is_held() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for size in (1, CHUNK_BYTES, 10, 3 * CHUNK_BYTES, 0, 5):
            yield b"z" * size

    sizes = [len(chunk) async for chunk in chunked(pieces())]
    assert sizes == [CHUNK_BYTES] * 4 + [16]
