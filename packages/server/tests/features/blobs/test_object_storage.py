"""Blobs in S3: on a real S3 server, over a network that can fail."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from bad_network import BadNetwork
from orchestra.features import blobs
from orchestra.features.blobs import jobs, rest
from orchestra.features.blobs.errors import BlobDamaged, BrokenOff
from orchestra.features.blobs.service import reading, stores
from orchestra.features.blobs.service.storing import Announced, Storing
from orchestra.features.blobs.types import CHUNK_BYTES, Span
from orchestra.foundation.object_places import ObjectMissing, ObjectStoreFailed, Place
from orchestra.foundation.object_store import PART_BYTES
from orchestra.foundation.settings import Settings
from s3_server import BUCKET, READ_ONLY_KEY, WRITE_ONLY_KEY, RunningS3

# The first test here waits for the server to start.
pytestmark = [pytest.mark.anyio, pytest.mark.timeout(90)]

LARGE = bytes(range(256)) * 4096 * 19 + b"the end"  # four parts


@pytest.fixture
def in_s3(world: Any, s3: RunningS3) -> Settings:
    return s3.use(world.settings)


@pytest.fixture
async def http(world: Any, in_s3: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with world.door(rest.routes, settings=in_s3)() as client:
        yield client


async def pieces(content: bytes, size: int = 300_000) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def put(client: httpx.AsyncClient, content: bytes) -> str:
    answer = await client.put("/api/blobs", content=pieces(content))
    assert answer.status_code == 201, answer.text
    return answer.json()["blob"]


async def rows(world: Any, sql: str, *values: object) -> list[Any]:
    async with world.database.transaction() as tx:
        return await tx.fetch(sql, *values)


async def place_of(world: Any, blob: str) -> Place:
    [row] = await rows(
        world,
        "SELECT bucket, object_key FROM blob_uploads WHERE sha256 = $1",
        bytes.fromhex(blob),
    )
    return Place(row["bucket"], row["object_key"])


async def is_stored(settings: Settings, place: Place) -> bool:
    try:
        await stores.objects(settings).read(place, 0, 1)
    except ObjectMissing:
        return False
    return True


@pytest.mark.parametrize("size", [1, CHUNK_BYTES, PART_BYTES - 1, PART_BYTES, len(LARGE)])
async def test_what_goes_in_comes_out(world: Any, http: httpx.AsyncClient, size: int) -> None:
    content = LARGE[:size]
    blob = await put(http, content)
    assert blob == hashlib.sha256(content).hexdigest()
    assert (await place_of(world, blob)).bucket == BUCKET
    assert await rows(world, "SELECT FROM blob_chunks") == []
    got = await http.get(f"/api/blobs/{blob}")
    assert (got.content == content, got.headers["content-length"]) == (True, str(size))


async def test_nothing_is_something_too(http: httpx.AsyncClient) -> None:
    blob = await put(http, b"")
    assert (await http.get(f"/api/blobs/{blob}")).content == b""


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-9", 0, 10),
        ("bytes=-7", len(LARGE) - 7, len(LARGE)),
        (f"bytes={PART_BYTES - 2}-{PART_BYTES + 1}", PART_BYTES - 2, PART_BYTES + 2),
        ("bytes=5-9999999", 5, 10_000_000),
    ],
)
async def test_a_part_is_given(http: httpx.AsyncClient, asked: str, start: int, end: int) -> None:
    blob = await put(http, LARGE)
    got = await http.get(f"/api/blobs/{blob}", headers={"range": asked})
    assert (got.status_code, got.content == LARGE[start:end]) == (206, True)


async def test_blobs_stay_readable_when_the_setting_changes(
    world: Any, http: httpx.AsyncClient, in_s3: Settings
) -> None:
    back = in_s3.with_values("test", blob_store="postgresql")
    async with world.door(rest.routes, settings=back)() as old:
        before = await put(old, b"before")
        after = await put(http, b"after")
        again = await put(http, b"before")
        assert before == again, "it stays where it is, once"
        for client in (http, old):
            assert (await client.get(f"/api/blobs/{before}")).content == b"before"
            assert (await client.get(f"/api/blobs/{after}")).content == b"after"
        listed = (await http.get("/api/blobs")).json()["items"]
    assert {item["blob"]: item["store"] for item in listed} == {before: "postgresql", after: "s3"}
    left = await rows(world, "SELECT FROM blob_garbage")
    assert len(left) == 1, "the second upload of what was there goes"


async def test_a_deleted_blob_leaves_no_object(
    world: Any, http: httpx.AsyncClient, in_s3: Settings
) -> None:
    blob = await put(http, LARGE)
    place = await place_of(world, blob)
    assert await is_stored(in_s3, place)
    assert (await http.delete(f"/api/blobs/{blob}")).status_code == 204
    await jobs.sweep(world.database, in_s3)()
    assert not await is_stored(in_s3, place)
    assert await rows(world, "SELECT FROM blob_garbage") == []


async def test_what_is_refused_or_breaks_off_leaves_nothing(world: Any, in_s3: Settings) -> None:
    async def breaking() -> AsyncIterator[bytes]:
        yield LARGE[: PART_BYTES + 5]
        raise BrokenOff

    storing = Storing(world.database, in_s3)
    with pytest.raises(BrokenOff):
        await storing.store(world.actor, Announced(), breaking())
    small = in_s3.with_values("test", max_blob_bytes=2 * PART_BYTES)
    async with world.door(rest.routes, settings=small)() as http:
        large = await http.put("/api/blobs", content=pieces(LARGE))
        other = await http.put("/api/blobs", params={"sha256": "0" * 64}, content=b"else")
    assert (large.status_code, other.status_code) == (413, 422)
    assert await rows(world, "SELECT FROM blob_uploads") == []
    left = await rows(world, "SELECT bucket, object_key FROM blob_garbage WHERE due_at > now()")
    assert len(left) == 3, "they may be on their way, so they wait for a while"
    async with world.database.transaction() as tx:
        await tx.execute("UPDATE blob_garbage SET due_at = now()")
    await jobs.sweep(world.database, in_s3)()
    for row in left:
        assert not await is_stored(in_s3, Place(row["bucket"], row["object_key"]))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"s3_bucket": "nobodys"}, "The bucket nobodys does not exist"),
        ({"s3_secret_key": "wrong"}, "refuses our key (SignatureDoesNotMatch)"),
        ({"s3_access_key": "UNKNOWN"}, "refuses our key (InvalidAccessKeyId)"),
        ({"s3_access_key": READ_ONLY_KEY}, "may not write objects in the bucket orchestra"),
        ({"s3_endpoint": "http://127.0.0.1:1"}, "object storage does not answer"),
    ],
)
async def test_what_is_wrong_is_said(
    world: Any, in_s3: Settings, changes: dict[str, str], said: str
) -> None:
    settings = in_s3.with_values("test", **changes)
    async with world.door(rest.routes, settings=settings)() as http:
        answer = await http.put("/api/blobs", content=b"x")
    assert (answer.status_code, answer.json()["code"]) == (503, "object_storage")
    assert said in answer.json()["detail"]
    with pytest.raises(ObjectStoreFailed) as raised:
        await blobs.try_out(settings)
    assert said in raised.value.message
    assert await rows(world, "SELECT FROM blob_uploads") == []


@pytest.mark.parametrize(
    ("status", "code", "more"),
    [
        (301, "PermanentRedirect", "<Endpoint>orchestra.s3.amazonaws.com</Endpoint>"),
        (400, "AuthorizationHeaderMalformed", "<Region>eu-central-1</Region>"),
    ],
)
async def test_another_region_is_told(
    world: Any, in_s3: Settings, status: int, code: str, more: str
) -> None:
    """As AWS answers; our own server takes any region."""
    body = f"<Error><Code>{code}</Code><Message>m</Message>{more}</Error>"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 {status} No\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        writer.write((head + body).encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        settings = in_s3.with_values("test", s3_endpoint=f"http://127.0.0.1:{port}")
        with pytest.raises(ObjectStoreFailed, match=r"in another region.*correct s3_region"):
            await stores.objects(settings).put(Place(BUCKET, "any"), pieces(b"x"))


async def test_the_bucket_may_be_part_of_the_host(
    in_s3: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen by a proxy, since no such host has an address."""
    heads: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b'HTTP/1.1 200 OK\r\netag: "x"\r\ncontent-length: 0\r\n\r\n')
        await writer.drain()
        writer.close()

    settings = in_s3.with_values("test", s3_path_style=False, s3_endpoint="http://s3.example.test")
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        proxy = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        monkeypatch.setenv("HTTP_PROXY", proxy)
        monkeypatch.setenv("http_proxy", proxy)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        await stores.objects(settings).put(Place(BUCKET, "blobs/1"), pieces(b"x"))
    assert heads[0].startswith("PUT http://orchestra.s3.example.test/blobs/1 HTTP/1.1")


async def test_cut_answers_are_asked_for_again(
    world: Any, http: httpx.AsyncClient, in_s3: Settings, s3: RunningS3
) -> None:
    blob = await put(http, LARGE)
    async with BadNetwork(s3.endpoint).open() as network:
        settings = in_s3.with_values("test", s3_endpoint=network.url)
        network.cuts, network.cut_after = 2, CHUNK_BYTES
        async with world.door(rest.routes, settings=settings)() as client:
            assert (await client.get(f"/api/blobs/{blob}")).content == LARGE
        assert network.cuts == 0, "they were cut"
        network.cuts = 1_000
        async with world.door(rest.routes, settings=settings)() as client:
            answer = await client.get(f"/api/blobs/{blob}")
    assert (answer.status_code, answer.json()["code"]) == (503, "object_storage")


async def test_of_many_uploads_some_wait(world: Any, in_s3: Settings) -> None:
    settings = in_s3.with_values("test", s3_uploads_at_once=2)
    contents = [LARGE[number : number + PART_BYTES + 10] for number in range(8)]
    async with world.door(rest.routes, settings=settings)() as http:
        stored = await asyncio.gather(*(put(http, content) for content in contents))
    assert stored == [hashlib.sha256(content).hexdigest() for content in contents]


async def test_storage_that_says_nothing_is_given_up(
    world: Any, http: httpx.AsyncClient, in_s3: Settings, s3: RunningS3
) -> None:
    blob = await put(http, b"small")
    async with BadNetwork(s3.endpoint).open() as network:
        network.is_silent = True
        settings = in_s3.with_values("test", s3_endpoint=network.url, s3_timeout_seconds=0.2)
        async with world.door(rest.routes, settings=settings)() as client:
            answers = [
                await client.get(f"/api/blobs/{blob}"),
                await client.put("/api/blobs", content=pieces(LARGE)),
            ]
    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (503, "object_storage")
        assert "does not answer" in answer.json()["detail"]
    assert len(await rows(world, "SELECT FROM blob_uploads")) == 1


async def test_changed_content_is_never_given_out_as_a_whole(
    world: Any, http: httpx.AsyncClient, in_s3: Settings
) -> None:
    blob = await put(http, LARGE)
    place = await place_of(world, blob)
    await stores.objects(in_s3).put(place, pieces(LARGE[::-1]))
    async with world.database.transaction() as tx:
        found = await reading.readable(tx, world.actor, blob)
    given: list[int] = []
    content = await reading.content(world.database, in_s3, found, Span(0, found.size))
    with pytest.raises(BlobDamaged):
        await _read(content, given)
    assert 0 < sum(given) < found.size
    await stores.objects(in_s3).put(place, pieces(b"short"))
    assert (await http.get(f"/api/blobs/{blob}")).status_code == 503
    await stores.objects(in_s3).delete(place)
    gone = await http.get(f"/api/blobs/{blob}")
    assert (gone.status_code, "is missing" in gone.json()["detail"]) == (503, True)


async def test_objects_that_cannot_be_removed_are_tried_again(
    world: Any, http: httpx.AsyncClient, in_s3: Settings
) -> None:
    blob = await put(http, b"stays for now")
    place = await place_of(world, blob)
    other = await place_of(world, await put(http, b"stays too"))
    for name in (blob, hashlib.sha256(b"stays too").hexdigest()):
        await http.delete(f"/api/blobs/{name}")
    away = in_s3.with_values("test", s3_secret_key="wrong")
    await jobs.sweep(world.database, away)()
    waiting = await rows(world, "SELECT due_at > now() AS later FROM blob_garbage")
    assert [row["later"] for row in waiting] == [True, True]
    async with world.database.transaction() as tx:
        await tx.execute("UPDATE blob_garbage SET due_at = now()")
    await jobs.sweep(world.database, in_s3)()
    assert not await is_stored(in_s3, place)
    assert not await is_stored(in_s3, other)


async def test_storage_that_works_is_found_to_work(in_s3: Settings) -> None:
    await blobs.ping(in_s3)
    await blobs.try_out(in_s3)
    blind = in_s3.with_values("test", s3_access_key=WRITE_ONLY_KEY)
    await blobs.ping(blind)  # it answers: what is not there looks forbidden to who may not list
    with pytest.raises(ObjectStoreFailed, match="may not read objects"):
        await blobs.try_out(blind)
    stranger = in_s3.with_values("test", s3_access_key="UNKNOWN")
    with pytest.raises(ObjectStoreFailed, match="orchestra doctor"):
        await blobs.ping(stranger)
    await blobs.try_out(in_s3)
    assert not await is_stored(in_s3, Place(BUCKET, f"{in_s3.s3_prefix}{stores.PROBE}"))


async def _read(content: AsyncIterator[bytes], sizes: list[int]) -> None:
    async for piece in content:
        sizes.append(len(piece))  # noqa: PERF401 - what came before it broke off counts
