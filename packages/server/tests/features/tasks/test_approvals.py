"""People in the loop: what is asked, who may answer, once, and bound to what they have seen."""

import asyncio
import hashlib
import json
from typing import Any

import pytest
from google.protobuf.struct_pb2 import Struct, Value
from orchestra_protocol import agent_pb2 as pb

pytestmark = pytest.mark.anyio

JSON = {"content-type": "application/json"}
PAYMENT = {"amount": 100, "to": "Müller"}


def asking(name: str = "pay", **more: Any) -> pb.Command:
    content = Struct()
    content.update(PAYMENT)
    more.setdefault("question", "Pay this?")
    more.setdefault("data", Value(struct_value=content))
    return pb.Command(ask=pb.Ask(name=name, **more))


async def asked(agent: Any, run: Any, **more: Any) -> pb.Asked:
    """Asks, and gives the slot back."""
    reply = await agent.ask_for(run, asking(**more))
    assert reply.HasField("asked"), reply
    left = await agent.ask_for(run, agent.suspend(more.get("name", "pay")))
    assert left.HasField("suspended")
    return reply.asked


def outcome(agent: Any, run: Any) -> Any:
    (step,) = agent.assignment(run).steps
    assert step.kind == pb.STEP_KIND_QUESTION
    if step.HasField("failure"):
        return step.failure.code
    said = step.output.struct_value.fields
    return {
        "approved": said["approved"].bool_value,
        "answer": said["answer"].string_value,
        "by": said["by"].string_value,
        "comment": said["comment"].string_value,
    }


async def test_an_approval_resumes_its_task_and_is_answered_once(
    world: Any, wire: Any, doors: Any
) -> None:
    http = await doors(world.key)
    async with wire(await world.plane(), slots=1) as agent:
        await agent.connect()
        task = await world.submit("echo", 1)
        question = await asked(agent, await agent.assigned())
        shown = (await http.get(f"/api/approvals/{question.approval_id}")).json()
        assert (await http.get("/api/approvals?state=open")).json()["items"] == [shown]
        assert (shown["data"], shown["data_hash"]) == (PAYMENT, question.data_hash)
        waiting = (await http.get(f"/api/tasks/{task.id}")).json()
        assert waiting["state"] == "waiting"
        assert waiting["waits_for"]["approval_ids"] == [question.approval_id]

        url = f"/api/approvals/{question.approval_id}/answer"
        said = {"decision": "approve", "data_hash": question.data_hash, "comment": "go"}
        other = await http.post(url, json={**said, "data_hash": "0" * 64})
        assert (other.status_code, other.json()["code"]) == (409, "approval_changed")

        async def post() -> Any:
            return await http.post(url, json=said)

        both: list[Any] = list(await asyncio.gather(post(), post()))
        assert sorted(answer.status_code for answer in both) == [200, 409]
        back = await agent.assigned()
        told = outcome(agent, back)
        assert (told["approved"], told["comment"]) == (True, "go")
        assert told["by"] == next(a.json()["answered_by"] for a in both if a.status_code == 200)
        await agent.say(back, agent.result(1))
        await world.state(task.id, "succeeded")
        late = await http.post(url, json={"data_hash": "0" * 64})
        assert f"It was approved by {told['by']} at 20" in late.json()["detail"]
    async with world.database.transaction() as tx:
        rows = await tx.fetch("SELECT action FROM audit_log WHERE target_kind = 'approval'")
    assert [row["action"] for row in rows] == ["approval.approved"]


async def test_the_hash_is_that_of_the_canonical_json(world: Any, wire: Any) -> None:
    async with wire(await world.plane()) as agent:
        await agent.connect()
        await world.submit("echo", 1)
        question = await asked(agent, await agent.assigned())
    content: dict[str, Any] = {
        "choices": [],
        "data": PAYMENT,
        "kind": "approve",
        "question": "Pay this?",
    }
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert question.data_hash == hashlib.sha256(canonical.encode()).hexdigest()


async def test_a_rejection_is_an_outcome_too(world: Any, wire: Any, doors: Any) -> None:
    http = await doors(world.key)
    async with wire(await world.plane()) as agent:
        await agent.connect()
        await world.submit("echo", 1)
        question = await asked(agent, await agent.assigned())
        said = {"decision": "reject", "data_hash": question.data_hash, "comment": "too much"}
        await http.post(f"/api/approvals/{question.approval_id}/answer", json=said)
        told = outcome(agent, await agent.assigned())
        assert (told["approved"], told["comment"]) == (False, "too much")


async def test_a_question_takes_one_of_its_choices(world: Any, wire: Any, doors: Any) -> None:
    http = await doors(world.key)
    async with wire(await world.plane()) as agent:
        await agent.connect()
        await world.submit("echo", 1)
        run = await agent.assigned()
        question = await asked(agent, run, kind=pb.ASK_KIND_ASK, choices=["red", "blue"])
        url = f"/api/approvals/{question.approval_id}/answer"
        for wrong in ("green", None):
            answer = await http.post(url, json={"data_hash": question.data_hash, "answer": wrong})
            assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "answer")
        said = {"data_hash": question.data_hash, "answer": "blue"}
        assert (await http.post(url, json=said)).json()["state"] == "answered"
        told = outcome(agent, await agent.assigned())
        assert (told["approved"], told["answer"]) == (True, "blue")


async def test_an_answer_is_a_text_of_bounded_length(world: Any, wire: Any, doors: Any) -> None:
    http = await doors(world.key)
    async with wire(await world.plane()) as agent:
        await agent.connect()
        await world.submit("echo", 1)
        question = await asked(agent, await agent.assigned(), kind=pb.ASK_KIND_ASK)
        url = f"/api/approvals/{question.approval_id}"
        wrong = (
            None,
            "",
            "7" * 16_385,
            "ü" * 8_193,
            "x" * 3_900_000,
            10**400,
            7,
            {"a": 1},
            [0] * 600_001,
            json.loads("[" * 64 + "]" * 64),
        )
        for answer in wrong:
            said = json.dumps({"data_hash": question.data_hash, "answer": answer})
            refused = await http.post(f"{url}/answer", content=said, headers=JSON)
            assert refused.status_code == 422, said[:200]
            assert refused.json()["errors"][0]["field"] == "answer"
            assert (await http.get(url)).json()["state"] == "open"
        longest = {"data_hash": question.data_hash, "answer": "ü" * 8_192}
        assert (await http.post(f"{url}/answer", json=longest)).json()["state"] == "answered"
        assert outcome(agent, await agent.assigned())["answer"] == "ü" * 8_192


async def test_a_question_expires_by_the_databases_clock(world: Any, wire: Any, doors: Any) -> None:
    http = await doors(world.key)
    await world.worker()
    async with wire(await world.plane()) as agent:
        await agent.connect()
        task = await world.submit("echo", 1)
        question = await asked(agent, await agent.assigned(), ttl_seconds=0.2)
        back = await agent.assigned()
        assert outcome(agent, back) == "approval_expired"
        url = f"/api/approvals/{question.approval_id}/answer"
        for _ in ("at work", "over"):
            late = await http.post(url, json={"data_hash": question.data_hash})
            assert (late.status_code, late.json()["code"]) == (409, "approval_closed")
            assert "It expired at 20" in late.json()["detail"]
            await agent.say(back, agent.result(1))
            await world.state(task.id, "succeeded")


async def test_only_its_owner_and_administrators_see_and_answer(
    world: Any, wire: Any, doors: Any
) -> None:
    stranger = await doors((await world.member("eve")).key)
    async with wire(await world.plane()) as agent:
        await agent.connect()
        await world.submit("echo", 1)
        run = await agent.assigned()
        token = agent.assignment(run).run_token
        question = await asked(agent, run)
    url = f"/api/approvals/{question.approval_id}"
    assert (await stranger.get(url)).status_code == 404
    said = {"data_hash": question.data_hash}
    assert (await stranger.post(f"{url}/answer", json=said)).status_code == 404
    assert (await stranger.get("/api/approvals")).json()["items"] == []
    itself = await doors(token)
    assert (await itself.post(f"{url}/answer", json=said)).status_code in (401, 403, 404)


async def test_what_nobody_needs_any_more_is_withdrawn(world: Any, wire: Any, doors: Any) -> None:
    http = await doors(world.key)
    await world.worker()
    async with wire(await world.plane()) as agent:
        await agent.connect()
        task = await world.submit("echo", 1)
        question = await asked(agent, await agent.assigned())
        stopped = await http.post(f"/api/tasks/{task.id}/cancel")
        assert stopped.json()["state"] == "cancelled", "nothing runs"

        async def withdrawn() -> bool:
            shown = await http.get(f"/api/approvals/{question.approval_id}")
            return shown.json()["state"] == "withdrawn"

        await world.eventually(withdrawn)
        said = {"data_hash": question.data_hash}
        late = await http.post(f"/api/approvals/{question.approval_id}/answer", json=said)
        assert (late.status_code, late.json()["code"]) == (409, "approval_closed")
        assert "Its task is over" in late.json()["detail"]


async def test_another_question_under_the_same_name_is_refused_open_or_answered(
    world: Any, wire: Any, doors: Any
) -> None:
    http = await doors(world.key)
    others = (
        asking(question="Pay that?"),
        asking(data=Value(number_value=1)),
        asking(kind=pb.ASK_KIND_ASK),
        asking(choices=["yes"]),
    )
    async with wire(await world.plane()) as agent:
        await agent.connect()
        await world.submit("echo", 1)
        run = await agent.assigned()
        question = (await agent.ask_for(run, asking())).asked
        for _ in ("open", "answered"):
            for other in others:
                refused = (await agent.ask_for(run, other)).refused
                assert (refused.code, refused.retryable) == ("nondeterministic", False)
                assert "'pay'" in refused.message
            said = {"data_hash": question.data_hash}
            await http.post(f"/api/approvals/{question.approval_id}/answer", json=said)
        assert (await agent.ask_for(run, asking())).asked == question
        left = await agent.ask_for(run, agent.suspend("pay"))
        (step,) = left.resumed.steps
        assert step.fingerprint == question.data_hash


async def test_the_same_question_again_is_the_same_and_a_bad_one_is_refused(
    world: Any, wire: Any
) -> None:
    async with wire(await world.plane()) as agent:
        await agent.connect()
        await world.submit("echo", 1)
        run = await agent.assigned()
        first = (await agent.ask_for(run, asking())).asked
        assert (await agent.ask_for(run, asking())).asked == first
        for wrong in (
            asking("x", question=""),
            asking("x", ttl_seconds=-1),
            asking("x", ttl_seconds=0),
            asking("x", ttl_seconds=float("nan")),
            asking("x", ttl_seconds=2_592_001),
            asking("x", choices=[""]),
            asking(""),
        ):
            assert (await agent.ask_for(run, wrong)).refused.code == "bad_command"
