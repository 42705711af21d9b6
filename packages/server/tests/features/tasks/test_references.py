"""Blobs that tasks refer to: kept with the task, seen by who may see it, refused if not there."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Value
from orchestra.features.blobs import jobs as blobs_jobs
from orchestra.features.blobs.errors import BadReference, BlobNotFound
from orchestra.features.blobs.service import reading
from orchestra.features.blobs.service.storing import Announced, Storing
from orchestra.features.tasks import NewTask
from orchestra.features.tasks.errors import UnknownBlob
from orchestra.foundation.auth import Actor, ActorKind, Role
from orchestra_protocol import agent_pb2 as pb

pytestmark = pytest.mark.anyio


async def store(world: Any, content: bytes, actor: Actor | None = None) -> str:
    async def once() -> AsyncIterator[bytes]:
        yield content

    storing = Storing(world.database, world.settings)
    return (await storing.store(actor or world.actor, Announced(), once())).sha256


async def is_readable(world: Any, actor: Actor, blob: str) -> bool:
    async with world.database.transaction() as tx:
        try:
            await reading.readable(tx, actor, blob)
        except BlobNotFound:
            return False
    return True


async def sweep(world: Any) -> None:
    """As if a week had passed."""
    async with world.database.transaction() as tx:
        await tx.execute("UPDATE blob_uploads SET touched_at = now() - interval '7 days'")
    await blobs_jobs.sweep(world.database, world.settings)()


async def kept(world: Any) -> int:
    async with world.database.transaction() as tx:
        return await tx.fetch_value("SELECT count(*) FROM blob_uploads")


def result(value: Any) -> pb.AgentEvent:
    return pb.AgentEvent(sequence=1, result=pb.Result(output=ParseDict(value, Value())))


async def test_what_an_input_refers_to_is_kept_as_long_as_the_task(world: Any) -> None:
    used, _unused = await store(world, b"used"), await store(world, b"unused")
    value = {"deep": [{"file": {"$blob": used, "name": "a.txt"}}]}
    task = await world.submit("echo", value)
    await sweep(world)
    assert await kept(world) == 1
    assert (await world.task(task.id)).input == value
    async with world.database.transaction() as tx:
        await tx.execute("DELETE FROM tasks")
    await sweep(world)
    assert await kept(world) == 0


async def test_the_same_key_refers_once(world: Any) -> None:
    value = {"$blob": await store(world, b"x")}
    first, again = [await world.submit("echo", value, idempotency_key="k") for _ in range(2)]
    assert (first.id, again.is_repeated) == (again.id, True)


async def test_many_tasks_are_taken_in_with_their_blobs_or_not_at_all(world: Any) -> None:
    good, bad = {"$blob": await store(world, b"x")}, {"$blob": "0" * 64}
    wishes = [NewTask(capability="echo", input=value) for value in (good, bad)]
    with pytest.raises(UnknownBlob):
        await world.submitter.submit_all(world.actor, wishes)
    async with world.database.transaction() as tx:
        assert await tx.fetch_value("SELECT count(*) FROM tasks") == 0
    await world.submitter.submit_all(world.actor, wishes[:1])


@pytest.mark.parametrize("wrong", ["0" * 63, 7, None, "A" * 64, ["0" * 64]])
async def test_what_names_no_blob_is_refused(world: Any, wrong: Any) -> None:
    with pytest.raises(BadReference):
        await world.submit("echo", {"$blob": wrong})


async def test_nobody_gets_at_a_blob_by_referring_to_it(world: Any) -> None:
    secret = await store(world, b"secret")
    member = (await world.member("mallory")).actor
    new = NewTask(capability="echo", input={"$blob": secret})
    with pytest.raises(UnknownBlob):
        await world.submitter.submit(member, new)
    assert not await is_readable(world, member, secret)


async def test_a_run_reads_the_blobs_of_its_own_task_and_stores_its_result(
    world: Any, wire: Any
) -> None:
    person = (await world.member("rita")).actor
    given = await store(world, b"given", person)
    async with wire(await world.plane()) as agent:
        await agent.connect()
        new = NewTask(capability="echo", input={"$blob": given})
        task = await world.submitter.submit(person, new)
        assigned = await agent.assigned()
        run = replace(person, kind=ActorKind.RUN, task_id=task.id, role=Role.VIEWER)
        stranger = replace(run, task_id=world.actor.user_id)
        assert await is_readable(world, run, given)
        assert not await is_readable(world, stranger, given)
        made = await store(world, b"made by the run", run)
        await agent.say(assigned, result({"report": {"$blob": made}}))
        done = await world.state(task.id, "succeeded")
    assert done.result == {"report": {"$blob": made}}
    await sweep(world)
    assert await is_readable(world, person, made)


async def test_a_result_that_refers_to_nothing_is_a_failure(world: Any, wire: Any) -> None:
    async with wire(await world.plane()) as agent:
        await agent.connect()
        for value, code in (({"$blob": "0" * 64}, "unknown_blob"), ({"$blob": 1}, None)):
            task = await world.submit("echo", 1)
            await agent.say(await agent.assigned(), result(value))
            failed = await world.state(task.id, "failed")
            assert failed.error.code == (code or "bad_blob_reference")
    assert failed.error.message.startswith("The result:")


async def test_a_parent_reads_what_its_child_has_made(world: Any) -> None:
    person = (await world.member("pat")).actor
    blob = await store(world, b"of the child", replace(person, task_id=world.actor.user_id))
    parent, child = [
        await world.submitter.submit(person, NewTask(capability="echo", input=1)) for _ in range(2)
    ]
    async with world.database.transaction() as tx:
        await tx.execute(
            """
            INSERT INTO blob_references (task_id, sha256, parent_id, user_id)
            VALUES ($1, $2, $3, $4)
            """,
            child.id,
            bytes.fromhex(blob),
            parent.id,
            person.user_id,
        )
    run = replace(person, kind=ActorKind.RUN, task_id=parent.id, role=Role.VIEWER)
    assert await is_readable(world, run, blob)


async def test_what_steps_and_children_refer_to_is_kept_or_refused(world: Any, wire: Any) -> None:
    blob = await store(world, b"of a step")
    good, bad = ParseDict({"$blob": blob}, Value()), ParseDict({"$blob": "0" * 64}, Value())
    async with wire(await world.plane()) as agent:
        await agent.connect()
        task = await world.submit("echo", 1)
        assigned = await agent.assigned()

        async def save(name: str, output: Value) -> pb.Reply:
            command = pb.Command(save_step=pb.SaveStep(name=name, output=output))
            return await agent.ask_for(assigned, command)

        async def spawn(name: str, given: Value) -> pb.Reply:
            child = pb.Child(name=name, capability="child", input=given)
            return await agent.ask_for(assigned, pb.Command(spawn=pb.Spawn(children=[child])))

        assert (await save("kept", good)).HasField("saved")
        assert (await save("lost", bad)).refused.code == "unknown_blob"
        assert (await spawn("child", good)).HasField("spawned")
        assert (await spawn("orphan", bad)).refused.code == "unknown_blob"
    async with world.database.transaction() as tx:
        rows = await tx.fetch(
            "SELECT task_id, parent_id FROM blob_references ORDER BY parent_id NULLS FIRST"
        )
        steps = await tx.fetch("SELECT name FROM task_steps ORDER BY name")
    assert [row["name"] for row in steps] == ["child", "kept"]
    assert (rows[0]["task_id"], rows[1]["parent_id"]) == (task.id, task.id)
