"""What a task waits for that has given its slot back: answers, child tasks, a time."""

from collections.abc import Sequence

from orchestra.features.identity import user_names
from orchestra.features.tasks.repository import why as repository
from orchestra.features.tasks.repository.waiting import ROOM
from orchestra.features.tasks.repository.why import Awaited, Facts
from orchestra.features.tasks.service.reading.wording import at_words, count_words
from orchestra.features.tasks.types import Why
from orchestra.foundation.database import Transaction


async def held_by_steps(tx: Transaction, task: Facts) -> Why:
    if rooms := [name for name in task.wait_names if name.startswith(ROOM)]:
        return _room([name.removeprefix(ROOM) for name in rooms])
    steps = await repository.awaited(tx, task.id, task.wait_names)
    questions = [step for step in steps if step.kind == "question"]
    children = [step for step in steps if step.kind == "child"]
    if questions:
        return await _question(tx, questions)
    if children:
        return _children(task, children)
    until = task.wait_until or next((step.due_at for step in steps if step.due_at), None)
    if until is not None:
        known = {"at": until.isoformat()}
        return Why("waiting_for_timer", f"It waits until {at_words(until)}.", known)
    said = "What it waited for has come; it starts in a moment."
    return Why("about_to_start", said, {})


def _room(queues: Sequence[str]) -> Why:
    known = {"queues": list(queues[:20])}
    named = f"the queue {queues[0]}" if len(queues) == 1 else f"{len(queues)} queues"
    said = f"What it would begin next waits for room in {named}."
    return Why("waiting_for_room", said, known)


async def _question(tx: Transaction, questions: Sequence[Awaited]) -> Why:
    first = questions[0]
    asked = [first.asked_user] if first.asked_user is not None else []
    names = await user_names(tx, asked)
    by = next(iter(names.values()), "an administrator")
    known = {
        "approval_id": None if first.approval_id is None else str(first.approval_id),
        "question": first.question,
        "by": by,
        "open": len(questions),
        "expires_at": None if first.expires_at is None else first.expires_at.isoformat(),
    }
    more = f" ({len(questions)} questions are open)" if len(questions) > 1 else ""
    return Why("waiting_for_approval", f"Waiting for {by}: {first.question}{more}", known)


def _children(task: Facts, children: Sequence[Awaited]) -> Why:
    total, left = len(task.wait_names), len(children)
    one_of = "one of " if task.wait_any else ""
    known = {
        "left": left,
        "of": total,
        "any": task.wait_any,
        "child_ids": [str(step.child_id) for step in children[:20]],
    }
    said = f"It waits for {one_of}{count_words(left, 'child task')}"
    said += f" of {total}." if left < total else "."
    return Why("waiting_for_children", said, known)
