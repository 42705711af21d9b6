"""Tasks over REST and AssignTask: what is accepted, who sees what, how one follows along."""

import asyncio
import json
import uuid
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Value
from orchestra.processes.control_plane import POLICIES
from orchestra_protocol import agent_pb2 as pb

pytestmark = pytest.mark.anyio


async def test_a_task_is_taken_in_once_for_each_key(http: httpx.AsyncClient) -> None:
    body = {"capability": "echo", "input": {"a": 1}, "priority": "high", "max_attempts": 2}
    key = {"idempotency-key": "click"}
    first = await http.post("/api/tasks", json=body, headers=key)
    again = await http.post("/api/tasks", json=body, headers=key)
    other = await http.post("/api/tasks", json=body | {"input": 2}, headers=key)
    assert (first.status_code, again.status_code, other.status_code) == (202, 200, 422)
    assert first.json()["id"] == again.json()["id"]
    assert other.json()["code"] == "idempotency_conflict"
    shown = first.json()
    assert (shown["state"], shown["priority"], shown["max_attempts"]) == ("queued", "high", 2)
    assert shown["input"] == {"a": 1}


@pytest.mark.parametrize(
    "wrong",
    [
        {"input": 1},
        {"capability": "echo", "priority": "urgent"},
        {"capability": "echo", "unknown": 1},
        {"capability": "echo", "max_attempts": 1000},
        {"capability": "echo", "agent_id": "no id"},
        {"capability": "echo", "input": json.loads("[" * 40 + "]" * 40)},
        {"capability": "echo", "input": {"id": 1234567890123456789}},
    ],
)
async def test_a_request_that_is_wrong_is_refused(
    http: httpx.AsyncClient, wrong: dict[str, Any]
) -> None:
    answer = await http.post("/api/tasks", json=wrong)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_task_for_an_agent_that_is_not_there_is_refused(http: httpx.AsyncClient) -> None:
    answer = await http.post("/api/tasks", json={"agent_id": str(uuid.UUID(int=5)), "input": 1})
    assert answer.status_code == 404


async def test_a_repeat_is_the_same_task_after_its_agent_was_forgotten(
    world: Any, wire: Any, http: httpx.AsyncClient
) -> None:
    async with wire(await world.plane(), capabilities=("echo",)) as agent:
        await agent.connect()
    body = {"agent_id": agent.agent_id, "input": 1}
    key = {"idempotency-key": "k"}
    first = await http.post("/api/tasks", json=body, headers=key)
    batch = await http.post("/api/tasks/batch", json={"tasks": [body]}, headers=key)
    async with world.database.transaction() as tx:
        await tx.execute("DELETE FROM agents")
    again = await http.post("/api/tasks", json=body, headers=key)
    assert (first.status_code, again.status_code) == (202, 200), again.text
    assert again.json()["id"] == first.json()["id"]
    same = await http.post("/api/tasks/batch", json={"tasks": [body]}, headers=key)
    assert same.json() == batch.json()
    other = await http.post("/api/tasks", json=body | {"input": 2}, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_conflict")
    new = await http.post("/api/tasks", json=body, headers={"idempotency-key": "new"})
    assert new.status_code == 404


async def test_a_task_for_an_agent_is_one_of_those_it_can_do(
    world: Any, wire: Any, http: httpx.AsyncClient
) -> None:
    async with (
        wire(await world.plane()) as one,
        wire(await world.plane(), name="two", capabilities=("a", "b")) as two,
    ):
        for agent_id, capability in ((one.agent_id, "x"), (two.agent_id, "")):
            body = {"agent_id": agent_id, "capability": capability, "input": 1}
            answer = await http.post("/api/tasks", json=body)
            assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "capability")
            batch = await http.post("/api/tasks/batch", json={"tasks": [body]})
            assert batch.status_code == 422
        answer = await http.post("/api/tasks", json={"agent_id": one.agent_id, "input": 1})
        assert (answer.status_code, answer.json()["capability"]) == (202, "echo")


async def test_a_batch_is_taken_in_whole_or_not_at_all(http: httpx.AsyncClient) -> None:
    good = {"capability": "echo", "input": 1}
    taken = await http.post("/api/tasks/batch", json={"tasks": [good] * 1000})
    assert taken.status_code == 202
    assert len({item["id"] for item in taken.json()["items"]}) == 1000
    refused = await http.post("/api/tasks/batch", json={"tasks": [good, {"input": 1}]})
    assert refused.status_code == 422
    many = await http.post("/api/tasks/batch", json={"tasks": [good] * 1001})
    assert many.status_code == 422


async def test_the_same_batch_under_a_key_is_the_same_tasks(http: httpx.AsyncClient) -> None:
    key = {"idempotency-key": "all"}
    tasks = [{"capability": "echo", "input": number} for number in range(3)]
    first = await http.post("/api/tasks/batch", json={"tasks": tasks}, headers=key)
    again = await http.post("/api/tasks/batch", json={"tasks": tasks}, headers=key)
    assert first.json() == again.json()
    for other in ([*tasks, tasks[0]], [tasks[1], tasks[0]]):
        answer = await http.post("/api/tasks/batch", json={"tasks": other}, headers=key)
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_conflict")
    assert len((await http.get("/api/tasks")).json()["items"]) == 3


async def test_lists_are_paged_and_filtered(http: httpx.AsyncClient) -> None:
    for number in range(5):
        name = "even" if number % 2 == 0 else "odd"
        await http.post("/api/tasks", json={"capability": name, "input": number})
    first = (await http.get("/api/tasks", params={"limit": 3})).json()
    second = (await http.get("/api/tasks", params={"cursor": first["next_cursor"]})).json()
    names = [item["capability"] for item in first["items"] + second["items"]]
    assert names == ["even", "odd", "even", "odd", "even"]
    assert second["next_cursor"] is None
    even = (await http.get("/api/tasks", params={"capability": "even"})).json()["items"]
    assert len(even) == 3
    assert (await http.get("/api/tasks", params={"state": "running"})).json()["items"] == []
    assert (await http.get("/api/tasks", params={"state": "strange"})).status_code in (400, 422)
    assert (await http.get("/api/tasks", params={"cursor": "garbage"})).status_code == 422


async def test_a_foreign_task_is_not_there(world: Any, http: httpx.AsyncClient) -> None:
    member = await world.member("alice")
    task = await world.submit("echo", 1)
    theirs = {"authorization": f"Bearer {member.key}"}
    path = f"/api/tasks/{task.id}"
    assert (await http.get(path, headers=theirs)).status_code == 404
    assert (await http.get(f"{path}/events", headers=theirs)).status_code == 404
    assert (await http.post(f"{path}/cancel", headers=theirs)).status_code == 404
    assert (await http.get("/api/tasks", headers=theirs)).json()["items"] == []


async def test_a_task_shows_its_attempts_and_its_result(
    world: Any, wire: Any, http: httpx.AsyncClient
) -> None:
    await world.worker()
    async with wire(await world.plane()) as agent:
        await agent.connect()
        task = await world.submit("echo", 1)
        await agent.say(await agent.assigned(), agent.failure(1, "busy", retryable=True))
        output = Value()
        output.struct_value.update({"text": "hi", "usage": {"prompt_tokens": 3}})
        event = pb.AgentEvent(sequence=1, result=pb.Result(output=output))
        await agent.say(await agent.assigned(), event)
        await world.state(task.id, "succeeded")
    shown = (await http.get(f"/api/tasks/{task.id}")).json()
    assert shown["result"] == {"text": "hi", "usage": {"prompt_tokens": 3}}
    assert shown["usage"] == {"prompt_tokens": 3}
    attempts = [(item["attempt"], item["outcome"], item["error"]) for item in shown["attempts"]]
    assert attempts == [
        (1, "failed", {"code": "busy", "message": "It broke."}),
        (2, "succeeded", None),
    ]
    assert {item["agent_name"] for item in shown["attempts"]} == {"wire"}


async def test_a_feed_tells_everything_to_the_end(
    world: Any, wire: Any, http: httpx.AsyncClient
) -> None:
    async with wire(await world.plane()) as agent:
        await agent.connect()
        task = await world.submit("echo", 1)
        assigned = await agent.assigned()
        await agent.say(assigned, agent.token(1, "Hel"), agent.token(2, "lo"), agent.result(3))
        await world.settled_events(task.id)
    answer = await http.get(f"/api/tasks/{task.id}/events")
    assert answer.headers["content-type"] == "text/event-stream"
    blocks = [
        dict(line.split(": ", 1) for line in block.splitlines())
        for block in answer.text.split("\n\n")
        if block.startswith("id:")
    ]
    assert [(block["id"], block["event"]) for block in blocks] == [
        ("1:0", "task.status"),
        ("2:0", "task.status"),
        ("2:1", "task.token"),
        ("2:2", "task.token"),
        ("2:3", "task.finished"),
    ]
    assert json.loads(blocks[-1]["data"])["result"] == "done"


async def test_a_cancel_over_rest_stops_a_waiting_task(http: httpx.AsyncClient) -> None:
    made = (await http.post("/api/tasks", json={"capability": "nobody", "input": 1})).json()
    path = f"/api/tasks/{made['id']}"
    cancelled = await http.post(f"{path}/cancel", json={"reason": "enough"})
    assert (cancelled.status_code, cancelled.json()["state"]) == (202, "cancelled")
    assert (await http.post(f"{path}/cancel")).status_code == 202


async def test_assign_task_refuses_a_priority_that_there_is_not(world: Any, wire: Any) -> None:
    async with wire(await world.plane()) as agent:
        for priority in (77, -1):
            request = pb.AssignTaskRequest(capability="echo", priority=priority)  # pyright: ignore[reportArgumentType]
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await agent.stub.AssignTask(request, metadata=agent.metadata).read()
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_assign_task_submits_and_follows_to_the_end(world: Any, wire: Any) -> None:
    async with wire(await world.plane()) as agent:
        await agent.connect()
        request = pb.AssignTaskRequest(
            capability="echo", input=Value(string_value="hi"), priority=pb.TASK_PRIORITY_NORMAL
        )
        call = agent.stub.AssignTask(request, metadata=agent.metadata)
        following = aiter(call)
        first = await anext(following)
        assigned = await agent.assigned()
        await agent.say(assigned, agent.token(1, "x"), agent.result(2, "bye"))
        async with asyncio.timeout(10):
            events = [first, *[event async for event in following]]
    assert {event.task_id for event in events} == {assigned.task_id}
    assert [(event.cursor, event.type) for event in events] == [
        ("1:0", "task.status"),
        ("2:0", "task.status"),
        ("2:1", "task.token"),
        ("2:2", "task.finished"),
    ]
    assert MessageToDict(events[-1].data)["result"] == "bye"


async def test_assign_task_can_attach_to_a_task_and_detach_from_one(world: Any, wire: Any) -> None:
    async with wire(await world.plane()) as agent:
        await agent.connect()
        request = pb.AssignTaskRequest(
            capability="echo", input=Value(string_value="hi"), detach=True
        )
        async with asyncio.timeout(10):
            submitted = [e async for e in agent.stub.AssignTask(request, metadata=agent.metadata)]
            assert [event.type for event in submitted] == ["task.status"]
            assigned = await agent.assigned()
            attach = pb.AssignTaskRequest(task_id=assigned.task_id, cursor="2:1")
            call = agent.stub.AssignTask(attach, metadata=agent.metadata)
            await agent.say(assigned, agent.token(1, "a"), agent.token(2, "b"), agent.result(3))
            events = [event async for event in call]
    assert [event.cursor for event in events] == ["", "2:2", "2:3"]


RPCS = {
    "RegisterAgent": pb.RegisterAgentRequest(),
    "AssignTask": pb.AssignTaskRequest(),
    "ListAgents": pb.ListAgentsRequest(),
    "GetRealTimeMetrics": pb.MetricsRequest(),
}


@pytest.mark.parametrize("name", RPCS)
async def test_every_rpc_asks_who_calls(world: Any, wire: Any, name: str) -> None:
    async with wire(await world.plane()) as agent:
        call = getattr(agent.stub, name)(RPCS[name])
        answer = call if name == "RegisterAgent" else call.read()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await answer
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_every_rpc_of_the_contract_has_a_policy() -> None:
    service = pb.DESCRIPTOR.services_by_name["ModernAgentService"]
    names = {f"/{service.full_name}/{method.name}" for method in service.methods}
    assert names <= set(POLICIES)
