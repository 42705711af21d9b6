"""The answer of a turn and the task that writes it: while it runs, and when it is over."""

import dataclasses
import uuid
from collections.abc import Sequence
from typing import Any, cast

import msgspec

from orchestra.features import tasks
from orchestra.features.chat import events, repository
from orchestra.features.chat.types import ConversationId, Message, MessageState
from orchestra.features.events import Outbox
from orchestra.features.tasks import TaskId, TaskSnapshot, TaskState
from orchestra.foundation import clock
from orchestra.foundation.database import Transaction, without_nul

STATES = {
    TaskState.SUCCEEDED: MessageState.COMPLETE,
    TaskState.FAILED: MessageState.FAILED,
    TaskState.CANCELLED: MessageState.STOPPED,
}
NO_FACTS = {"usage": None, "finish_reason": None}
LONGEST_REASON = 40  # characters; an agent may say anything


async def with_tasks(tx: Transaction, messages: Sequence[Message]) -> list[Message]:
    """Messages as their tasks have them now, also if the row does not say so yet."""
    writing = [item.task_id for item in messages if _is_writing(item) and item.task_id]
    if not writing:
        return list(messages)
    known = {snapshot.task.id: snapshot for snapshot in await tasks.snapshots(tx, writing)}
    return [_shown(item, known) for item in messages]


async def settle_tasks(tx: Transaction, outbox: Outbox, ids: Sequence[uuid.UUID]) -> int:
    """Settles the answers of those of the tasks that are over; returns how many it wrote."""
    settled = 0
    known = {snapshot.task.id: snapshot for snapshot in await tasks.snapshots(tx, ids)}
    for task_id in ids:
        conversation_id = await repository.conversation_of_task(tx, task_id)
        snapshot = known.get(TaskId(task_id))
        if conversation_id is None or (snapshot is not None and not is_over(snapshot)):
            continue
        settled += await _settle(tx, outbox, task_id, conversation_id, _end_of(snapshot))
    return settled


def is_over(snapshot: TaskSnapshot) -> bool:
    return snapshot.task.state in STATES


async def _settle(
    tx: Transaction,
    outbox: Outbox,
    task_id: uuid.UUID,
    conversation_id: ConversationId,
    end: dict[str, Any],
) -> bool:
    """Writes the end into the answer, once; False if somebody did before."""
    # First the conversation: whoever begins a turn takes the same locks in the same order.
    owner = await repository.owner_of(tx, conversation_id)
    if owner is None or not await repository.end_answer(tx, task_id, **end):
        return False
    await repository.update_conversation(tx, conversation_id, now=clock.now())
    await outbox.add(tx, events.updated(owner, conversation_id))
    return True


def _is_writing(message: Message) -> bool:
    return message.state is MessageState.STREAMING


def _shown(message: Message, known: dict[Any, TaskSnapshot]) -> Message:
    snapshot = known.get(message.task_id) if _is_writing(message) else None
    if snapshot is None:
        return message
    if is_over(snapshot):
        return dataclasses.replace(message, **_end_of(snapshot))
    return dataclasses.replace(message, content=snapshot.text, cursor=snapshot.cursor)


def _end_of(snapshot: TaskSnapshot | None) -> dict[str, Any]:
    if snapshot is None:
        error = {"code": "task_lost", "message": "The task of this answer does not exist any more."}
        return {"state": MessageState.FAILED, "content": "", "error": error} | NO_FACTS
    task = snapshot.task
    result = _result(task.result)
    usage = task.usage or result.get("usage")
    return {
        "state": STATES[task.state],
        "content": without_nul(_text(snapshot, result)),
        "error": msgspec.to_builtins(task.error) if task.error else None,
        "usage": usage if isinstance(usage, dict) else None,
        "finish_reason": _finish_reason(result),
    }


def _finish_reason(result: dict[str, Any]) -> str | None:
    reason = result.get("finish_reason")
    if not isinstance(reason, str) or not 0 < len(reason) <= LONGEST_REASON:
        return None
    return without_nul(reason)


def _result(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _text(snapshot: TaskSnapshot, result: dict[str, Any]) -> str:
    """What the answer says; an agent that answers otherwise than agreed is shown as it is."""
    if snapshot.task.state is not TaskState.SUCCEEDED:
        return snapshot.text
    text = result.get("text")
    return text if isinstance(text, str) else msgspec.json.encode(snapshot.task.result).decode()
