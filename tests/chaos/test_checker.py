"""The checker finds every kind of violation that is planted, and none in a run that went well."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chaos import journal
from chaos.checker import check
from chaos.evidence import AttemptRow, Evidence, TaskRow, Window
from chaos.journal import Effect, Journal, Memory, Sample, Seen, Try

Change = Callable[[Evidence], Evidence]
COUNT = 3


def good_run() -> Evidence:
    """Three tasks; the second was taken back once and ran again under the next lease."""
    return Evidence(
        tries=[answered(number) for number in range(COUNT)],
        effects=[effect(0, 2), effect(1, 2), effect(1, 4, attempt=2), effect(2, 2)],
        seen=[
            seen("task.status", "1:0"),
            seen("task.status", "2:0"),
            seen("task.token", "2:1", connection=2),
            seen("task.finished", "2:2", state="succeeded", connection=2),
        ],
        samples=[sample(0, 2, running=2), sample(1, 3, running=1, succeeded=2)],
        memory=[memory(at, 100) for at in range(20)],
        tasks=[task(0, epoch=2), task(1, epoch=4, attempt=2), task(2, epoch=2)],
        attempts=[attempt(0, 2), attempt(1, 2, outcome="lost"), attempt(1, 4, 2), attempt(2, 2)],
    )


def answered(number: int, **changes: Any) -> Try:
    fields: dict[str, Any] = {"began": float(number), "ended": number + 0.1, "status": 202}
    fields |= {"task_id": f"task-{number}", "key": f"key-{number}", "kind": "quick"}
    return Try(submission=number, **fields | changes)


def effect(number: int, epoch: int, *, attempt: int = 1, key: str = "") -> Effect:
    return Effect(
        submission=number,
        key=key or f"effect-{number}",
        task_id=f"task-{number}",
        epoch=epoch,
        attempt=attempt,
        agent="a",
        at=float(number),
    )


def task(number: int, **changes: Any) -> TaskRow:
    fields: dict[str, Any] = {"state": "succeeded", "epoch": 2, "attempt": 1, "max_attempts": 3}
    fields |= {"id": f"task-{number}", "key": f"key-{number}", "error_code": ""}
    fields |= changes
    fields.setdefault("result", {"epoch": fields["epoch"]})
    return TaskRow(**fields)


def attempt(number: int, epoch: int, count: int = 1, *, outcome: str = "succeeded") -> AttemptRow:
    return AttemptRow(
        task_id=f"task-{number}", epoch=epoch, attempt=count, outcome=outcome, is_ended=True
    )


def seen(event: str, cursor: str = "", *, state: str = "", connection: int = 1) -> Seen:
    return Seen(
        reader=1, task_id="task-0", event=event, cursor=cursor, state=state, connection=connection
    )


def sample(at: int, acknowledged: int, **by_state: int) -> Sample:
    total = sum(by_state.values())
    return Sample(
        at=float(at), acknowledged=acknowledged, begun=COUNT, total=total, by_state=by_state
    )


def memory(at: int, megabytes: int) -> Memory:
    return Memory(at=float(at), name="api", pid=7, resident=megabytes * 2**20)


def fleet(megabytes: int) -> list[Memory]:
    """A control plane to which agents come one after the other that take so much in a second."""
    return [
        msgspec.structs.replace(memory(at, 100 + megabytes * at), name="control-plane")
        for at in range(20)
    ]


def replaced(**changes: Any) -> Change:
    """The good run with one kind of evidence replaced."""

    def change(evidence: Evidence) -> Evidence:
        fields = {name: getattr(evidence, name) for name in Evidence.__slots__}
        return Evidence(**fields | changes)

    return change


def family(evidence: Evidence, **changes: Any) -> Evidence:
    """The good run, whose first task is a parent with its two children, one of them changed."""
    first, second = task(7, parent="task-0"), task(8, **{"parent": "task-0"} | changes)
    return replaced(
        tries=[answered(0, kind="parent"), *evidence.tries[1:]],
        tasks=[*evidence.tasks, first, second],
        attempts=[*evidence.attempts, attempt(7, 2), attempt(8, 2)],
        effects=[*evidence.effects, effect(7, 2), effect(8, 2)],
    )(evidence)


def orphaned(evidence: Evidence) -> Evidence:
    """A child of the family has left no effect."""
    whole = family(evidence)
    return replaced(effects=[item for item in whole.effects if item.task_id != "task-8"])(whole)


def added(**more: Any) -> Change:
    def change(evidence: Evidence) -> Evidence:
        return replaced(**{name: [*getattr(evidence, name), item] for name, item in more.items()})(
            evidence
        )

    return change


def test_a_run_that_went_well_has_no_violation() -> None:
    assert check(good_run()) == []


PLANTED: list[tuple[str, str, Change]] = [
    ("I1", "is lost", added(tries=answered(7))),
    ("I1", "never ended", added(tasks=task(8, state="running"))),
    ("I1", "is failed", replaced(tasks=[task(0, state="failed"), task(1, epoch=4), task(2)])),
    ("I1", "acknowledged as 2 tasks", added(tries=answered(2, task_id="task-0"))),
    ("I1", "has made 2 tasks", added(tasks=task(9, key="key-0"))),
    ("I1", "1 of 2 children", lambda run: family(run, parent="task-1")),
    ("I1", "1 of 0 children", lambda run: family(run, parent="task-1")),
    ("I1", "child task-8 is failed lost", lambda run: family(
        run, state="failed", error_code="lost"
    )),
    ("I1", "task-8 never ended", lambda run: family(run, state="waiting")),
    ("I2", "child task-8 succeeded without", orphaned),
    ("I2", "under 2 keys", added(effects=effect(0, 2, key="another"))),
    ("I2", "was given to 2 tasks", added(effects=effect(2, 2, key="effect-0"))),
    ("I2", "2 times under epoch 2", added(effects=effect(0, 2))),
    ("I2", "never given", added(effects=effect(0, 9))),
    ("I2", "without its effect", replaced(effects=[effect(1, 2), effect(1, 4), effect(2, 2)])),
    ("I3", "succeeded in several", added(attempts=attempt(0, 1))),
    ("I3", "ran again after", added(attempts=attempt(2, 4, 2, outcome="lost"))),
    ("I3", "the result of epoch 2", replaced(tasks=[task(1, epoch=4, result={"epoch": 2})])),
    ("I3", "never ended", added(attempts=AttemptRow(
        task_id="task-0", epoch=1, attempt=1, outcome=None, is_ended=False
    ))),
    ("I3", "but had lease", added(attempts=attempt(0, 3))),
    ("I3", "had 4 of 3", replaced(tasks=[task(0, attempt=4)])),
    ("I4", "2:3 follows (2, 1)", replaced(seen=[seen("token", "2:1"), seen("token", "2:3")])),
    ("I4", "2:1 came after", replaced(seen=[seen("token", "2:1"), seen("token", "2:1")])),
    ("I4", "not shown the end", replaced(seen=[seen("task.token", "2:1")])),
    ("I4", "was shown failed", replaced(seen=[seen("task.finished", "2:1", state="failed")])),
    ("I5", "there are 2 tasks", added(samples=sample(2, 3, succeeded=2))),
    ("I5", "there are 4 tasks", added(samples=sample(2, 3, succeeded=4))),
    ("I5", "are not any more", added(samples=sample(2, 3, succeeded=1, running=2))),
    ("I5", "in state lost", added(samples=sample(2, 3, succeeded=2, lost=1))),
    ("I6", "grew from", replaced(memory=[memory(at, 100 + 20 * at) for at in range(20)])),
    ("I6", "grew from", replaced(memory=fleet(100), fleet=1_000)),
    ("I7", "1 of 4 requests failed", added(tries=answered(3, status=500, task_id=""))),
    ("I7", "without Retry-After", added(tries=answered(3, status=503, task_id=""))),
]  # fmt: skip


@pytest.mark.parametrize(("invariant", "words", "plant"), PLANTED)
def test_a_planted_violation_is_found(invariant: str, words: str, plant: Change) -> None:
    found = [str(violation) for violation in check(plant(good_run()))]
    assert any(text.startswith(f"{invariant}: ") and words in text for text in found), found


EXCUSED: list[Change] = [
    family,
    # Agents that come take memory.
    replaced(memory=fleet(20), fleet=4_000),
    # An announced gap, and a snapshot, stand for what a reader has missed.
    replaced(
        seen=[
            seen("task.token", "2:1"),
            seen("gap"),
            seen("task.token", "2:5"),
            seen("task.finished", "2:6", state="succeeded"),
        ]
    ),
    replaced(
        seen=[
            seen("task.token", "2:1"),
            seen("gap"),
            seen("task.snapshot", "2:5", state="succeeded"),
        ]
    ),
    # A request fails while what it is aimed at is broken, and says when to come again.
    lambda run: replaced(
        tries=[
            *run.tries,
            answered(1, began=5.0, ended=5.1, status=503, task_id="", has_retry_after=True),
            answered(1, began=5.2, ended=5.3, status=0, task_id=""),
        ],
        broken=[Window(began=4.9, ended=6.0)],
    )(run),
    # A request that was only begun, by a submitter that was killed.
    added(tries=Try(submission=5, key="key-5", kind="quick", began=1.0, is_begun=True)),
    # Cancelled is how a task may end that somebody has cancelled.
    lambda run: replaced(
        tries=[answered(0, kind="cancelled"), *run.tries[1:]],
        tasks=[task(0, state="cancelled", result=None), *run.tasks[1:]],
        attempts=[attempt(0, 2, outcome="cancelled"), *run.attempts[1:]],
        seen=[],
    )(run),
]


@pytest.mark.parametrize("change", EXCUSED)
def test_what_may_happen_is_no_violation(change: Change) -> None:
    assert check(change(good_run())) == []


def test_a_journal_whose_writer_was_killed_in_mid_line_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "effects.jsonl"
    writer = Journal(path)
    writer.write(effect(1, 2))
    writer.close()
    with path.open("ab") as file:
        file.write(msgspec.json.encode(effect(2, 2))[:20])
    assert journal.read(path, Effect) == [effect(1, 2)]
