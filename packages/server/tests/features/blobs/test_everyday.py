"""Lists, metadata and deletion: what somebody has brought, and what keeps it."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from orchestra.features.blobs import jobs, rest
from orchestra.features.blobs.errors import BlobInUse
from orchestra.features.blobs.service import managing
from orchestra.features.blobs.service.storing import Announced, Storing
from orchestra.foundation import ids
from orchestra.foundation.auth import ActorKind, Role
from orchestra.foundation.errors import Forbidden

pytestmark = pytest.mark.anyio


@pytest.fixture
async def http(world: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with world.door(rest.routes)() as client:
        yield client


@pytest.fixture
async def ann(world: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with world.door(rest.routes)((await world.member("ann-of-blobs")).key) as client:
        yield client


@pytest.fixture
async def ben(world: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with world.door(rest.routes)((await world.member("ben-of-blobs")).key) as client:
        yield client


async def put(client: httpx.AsyncClient, content: bytes) -> str:
    answer = await client.put("/api/blobs", content=content)
    assert answer.status_code == 201, answer.text
    return answer.json()["blob"]


async def pages(client: httpx.AsyncClient, **query: int) -> list[list[Any]]:
    found: list[list[Any]] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await client.get("/api/blobs", params={**query, **cursor})
        assert answer.status_code == 200, answer.text
        found.append(answer.json()["items"])
        if answer.json()["next_cursor"] is None:
            return found
        cursor = {"cursor": answer.json()["next_cursor"]}


async def count(world: Any, table: str) -> int:
    async with world.database.transaction() as tx:
        return await tx.fetch_value(f"SELECT count(*) FROM {table}")  # noqa: S608 - ours


async def refer(world: Any, blob: str, actor: Any = None) -> Any:
    """A task of this person refers to it."""
    task = await world.submit("echo", 1)
    async with world.database.transaction() as tx:
        await tx.execute(
            "INSERT INTO blob_references (task_id, sha256, user_id) VALUES ($1, $2, $3)",
            task.id,
            bytes.fromhex(blob),
            (actor or world.actor).user_id,
        )
    return task


async def store(world: Any, actor: Any, content: bytes) -> str:
    async def once() -> AsyncIterator[bytes]:
        yield content

    return (await Storing(world.database, world.settings).store(actor, Announced(), once())).sha256


async def delete(world: Any, actor: Any, blob: str) -> None:
    async with world.database.transaction() as tx:
        await managing.delete(tx, actor, blob)


async def test_everybody_lists_what_they_have_brought(
    ann: httpx.AsyncClient, ben: httpx.AsyncClient
) -> None:
    mine = [await put(ann, str(number).encode()) for number in range(5)]
    await put(ann, b"0")  # again
    shared = await put(ben, b"3")
    found = await pages(ann, limit=2)
    assert [len(page) for page in found] == [2, 2, 1]
    items = [item for page in found for item in page]
    assert [item["blob"] for item in items] == mine[::-1]
    assert {item["owner"] for item in items} == {"ann-of-blobs"}
    assert [item["blob"] for page in await pages(ben) for item in page] == [shared]


async def test_a_run_and_its_person_have_brought_it_once(world: Any) -> None:
    person = (await world.member("cid-of-blobs")).actor
    runs = [replace(person, kind=ActorKind.RUN, task_id=ids.new_id()) for _ in range(3)]
    for actor in (*runs, person):
        await store(world, actor, b"the same")
    async with world.database.transaction() as tx:
        found = await managing.find(
            tx, person, world.settings, everybody=False, before=None, size=10
        )
    assert len(found) == 1


async def test_an_administrator_lists_what_everybody_has_brought(
    http: httpx.AsyncClient, ann: httpx.AsyncClient, ben: httpx.AsyncClient
) -> None:
    shared = [await put(client, b"shared") for client in (http, ann, ben)]
    found = [item for page in await pages(http, everybody=True, limit=1) for item in page]
    assert [item["blob"] for item in found] == shared
    assert len({item["owner"] for item in found}) == 3
    assert len((await pages(http))[0]) == 1
    refused = await ann.get("/api/blobs", params={"everybody": True})
    assert refused.status_code == 403


@pytest.mark.parametrize(
    "cursor", ["nonsense", "WzEsMl0", "WyIyMDI2LTAxLTAxVDAwOjAwOjAwWiIsIngiXQ"]
)
async def test_a_list_takes_no_other_cursors(http: httpx.AsyncClient, cursor: str) -> None:
    answer = await http.get("/api/blobs", params={"cursor": cursor})
    assert answer.status_code == 422
    assert (await http.get("/api/blobs", params={"limit": 0})).status_code == 422


async def test_a_blob_says_what_keeps_it(
    world: Any, http: httpx.AsyncClient, ann: httpx.AsyncClient
) -> None:
    blob = await put(http, b"described")
    about = (await http.get(f"/api/blobs/{blob}/metadata")).json()
    assert about == {
        "blob": blob,
        "size": 9,
        "media_type": "application/octet-stream",
        "created_at": about["created_at"],
        "kept_until": about["kept_until"],
        "tasks": [],
        "store": "postgresql",
    }
    assert about["kept_until"] > about["created_at"]
    task = await refer(world, blob)
    about = (await http.get(f"/api/blobs/{blob}/metadata")).json()
    assert (about["tasks"], about["kept_until"]) == ([str(task.id)], None)
    [[item]] = await pages(http)
    assert (item["in_use"], item["kept_until"]) == (True, None)
    assert (await ann.get(f"/api/blobs/{blob}/metadata")).status_code == 404
    await put(ann, b"described")
    assert (await ann.get(f"/api/blobs/{blob}/metadata")).json()["tasks"] == [], "not hers"


async def test_a_deleted_blob_is_gone_and_the_deletion_is_recorded(
    world: Any, ann: httpx.AsyncClient
) -> None:
    blob = await put(ann, b"mistake")
    assert (await ann.delete(f"/api/blobs/{blob}")).status_code == 204
    assert (await ann.get(f"/api/blobs/{blob}")).status_code == 404
    assert (await ann.delete(f"/api/blobs/{blob}")).status_code == 404
    assert await count(world, "blob_uploads") == await count(world, "blob_chunks") == 0
    async with world.database.transaction() as tx:
        row = await tx.fetch_one(
            "SELECT actor_name, details FROM audit_log WHERE action = 'blob.deleted' "
            "AND target_id = $1",
            blob,
        )
    assert (row["actor_name"], row["details"]) == ("ann-of-blobs", {"bytes": 7})


async def test_a_blob_in_use_is_not_deleted(world: Any, http: httpx.AsyncClient) -> None:
    blob = await put(http, b"in use")
    task = await refer(world, blob)
    answer = await http.delete(f"/api/blobs/{blob}")
    assert (answer.status_code, answer.json()["code"]) == (409, "blob_in_use")
    assert str(task.id) in answer.json()["detail"]
    assert (await http.get(f"/api/blobs/{blob}")).status_code == 200
    async with world.database.transaction() as tx:
        await tx.execute("DELETE FROM tasks WHERE id = $1", task.id)
    assert (await http.delete(f"/api/blobs/{blob}")).status_code == 204


async def test_what_others_have_brought_too_stays_theirs(
    world: Any, ann: httpx.AsyncClient, ben: httpx.AsyncClient
) -> None:
    blob = await put(ann, b"of both")
    await put(ben, b"of both")
    assert (await ann.delete(f"/api/blobs/{blob}")).status_code == 204
    assert (await ann.get(f"/api/blobs/{blob}")).status_code == 404
    assert (await ben.get(f"/api/blobs/{blob}")).content == b"of both"
    assert (await ben.delete(f"/api/blobs/{blob}")).status_code == 204
    assert await count(world, "blob_uploads") == 0


async def test_what_only_others_have_brought_does_not_exist(
    ann: httpx.AsyncClient, ben: httpx.AsyncClient
) -> None:
    blob = await put(ben, b"of ben alone")
    for path in (blob, "nonsense", "0" * 64):
        answer = await ann.delete(f"/api/blobs/{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "blob_not_found")
    assert (await ben.get(f"/api/blobs/{blob}")).status_code == 200


async def test_an_administrator_removes_what_others_have_brought(
    world: Any, http: httpx.AsyncClient, ann: httpx.AsyncClient
) -> None:
    blob, used = await put(ann, b"to be removed"), await put(ann, b"used")
    owner = (await world.member("dan-of-blobs")).actor
    await refer(world, used, owner)
    assert (await http.delete(f"/api/blobs/{used}")).status_code == 409
    assert (await http.delete(f"/api/blobs/{blob}")).status_code == 204
    assert (await ann.get(f"/api/blobs/{blob}")).status_code == 404


async def test_a_run_takes_back_only_what_it_has_brought(world: Any) -> None:
    person = (await world.member("eve-of-blobs")).actor
    run = replace(person, kind=ActorKind.RUN, task_id=ids.new_id(), role=Role.VIEWER)
    own, private = await store(world, run, b"scratch"), await store(world, person, b"private")
    task = await refer(world, private, person)
    async with world.database.transaction() as tx:  # the run was given it as its input
        await tx.execute("UPDATE blob_references SET parent_id = $1", run.task_id)
    await delete(world, run, own)
    with pytest.raises(BlobInUse, match=str(task.id)):
        await delete(world, run, private)
    assert await count(world, "blob_uploads") == 1


async def test_what_is_being_referred_to_is_not_deleted_meanwhile(world: Any) -> None:
    """Whoever comes first wins, and the other is told."""
    blob = await store(world, world.actor, b"race")
    task = await world.submit("echo", 1)
    name = hashlib.sha256(b"race").digest()
    async with world.database.transaction() as tx:
        await tx.execute("SELECT FROM blob_uploads WHERE sha256 = $1 FOR KEY SHARE", name)
        deleting = asyncio.ensure_future(delete(world, world.actor, blob))
        await world.eventually(lambda: is_waiting(world))
        await tx.execute(
            "INSERT INTO blob_references (task_id, sha256, user_id) VALUES ($1, $2, $3)",
            task.id,
            name,
            world.actor.user_id,
        )
    with pytest.raises(BlobInUse, match=str(task.id)):
        await deleting
    assert await count(world, "blob_uploads") == 1


async def is_waiting(world: Any) -> bool:
    async with world.database.transaction() as tx:
        return await tx.fetch_value(
            "SELECT count(*) > 0 FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )


async def test_an_unused_blob_goes_after_its_time_and_one_in_use_stays(
    world: Any, http: httpx.AsyncClient
) -> None:
    used, unused = await put(http, b"used"), await put(http, b"unused")
    await refer(world, used)
    async with world.database.transaction() as tx:
        await tx.execute("UPDATE blob_uploads SET touched_at = now() - interval '25 hours'")
    await jobs.sweep(world.database, world.settings)()
    assert [item["blob"] for page in await pages(http) for item in page] == [used]
    assert (await http.get(f"/api/blobs/{unused}")).status_code == 404


async def test_somebody_without_a_person_lists_nothing(world: Any) -> None:
    actor = replace((await world.member("fay-of-blobs")).actor, user_id=None)
    async with world.database.transaction() as tx:
        with pytest.raises(Forbidden):
            await managing.find(tx, actor, world.settings, everybody=False, before=None, size=1)
