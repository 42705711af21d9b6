"""What follows from failures, without a clock or a database."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from orchestra.features.agents.repository import Suspect
from orchestra.features.agents.service.quarantine import Fault, Policy, Sentence, judge
from orchestra.features.agents.types import AgentId, Quarantine

NOW = datetime(2026, 1, 1, tzinfo=UTC)
AGENT = AgentId(uuid.UUID(int=1))
OWNER, STRANGER, OTHER = (uuid.UUID(int=n) for n in (900, 901, 902))
POLICY = Policy(failures=3, first_seconds=30, longest_seconds=100)


def suspect(*blamed: int, **more: Any) -> Suspect:
    values: dict[str, Any] = {
        "alone": frozenset(),
        "quarantine": None,
        "round": 0,
        "ended_at": None,
        "now": NOW,
        **more,
    }
    return Suspect(
        id=AGENT,
        name="it",
        owner_id=OWNER,
        blamed=tuple(uuid.UUID(int=n) for n in blamed),
        **values,
    )


def faults(*about: int, code: str = "handler_error", by: uuid.UUID = OWNER) -> list[Fault]:
    return [
        Fault(
            agent_id=AGENT,
            about=uuid.UUID(int=n),
            code=code,
            message="It broke.",
            asked_by=frozenset({by}),
        )
        for n in about
    ]


def after_losses(*people: set[uuid.UUID], apart: int = 60) -> Sentence:
    """What follows from losses, one after another, while the agent had tasks of these people."""
    sentence = Sentence(())
    for number, there in enumerate(people):
        at = NOW + timedelta(seconds=number * apart)
        found = replace(suspect(now=at), blamed=sentence.blamed, alone=sentence.alone)
        loss = faults(number, code="agent_lost")[0]
        sentence = judge(found, [replace(loss, asked_by=frozenset(there))], POLICY)
    return sentence


def serving(*, until: datetime | None, number: int = 1) -> Quarantine:
    return Quarantine(at=NOW, until=until, by="x", reason="y", round=number)


def test_a_task_that_fails_everywhere_is_one_failure_of_its_agent() -> None:
    sentence = judge(suspect(7), faults(7, 7, 7), POLICY)
    assert sentence.seconds is None
    assert len(sentence.blamed) == 1


def test_failures_of_different_tasks_in_a_row_lead_to_quarantine() -> None:
    sentence = judge(suspect(1, 2), faults(3), POLICY)
    assert (sentence.seconds, sentence.round) == (30, 1)
    assert sentence.reason == "3 failures in a row; the last was handler_error: It broke."


@pytest.mark.parametrize("code", ["handler_error", "unknown_capability"])
def test_what_one_stranger_asks_for_is_never_enough_alone(code: str) -> None:
    sentence = judge(suspect(), faults(*range(100), code=code, by=STRANGER), POLICY)
    assert sentence.seconds is None
    assert len(sentence.blamed) == POLICY.failures - 1
    found = replace(suspect(), blamed=sentence.blamed, alone=sentence.alone)
    assert judge(found, faults(7, code=code, by=STRANGER), POLICY).seconds is None
    assert judge(found, faults(7, code=code, by=OTHER), POLICY).seconds == 30
    assert judge(found, faults(7, code=code, by=OWNER), POLICY).seconds == 30


def test_a_stranger_whose_tasks_kill_the_process_is_not_enough_alone() -> None:
    assert after_losses(*[{STRANGER}] * 20).seconds is None
    assert after_losses({STRANGER}, {STRANGER}, {OTHER}).seconds == 30
    assert after_losses({STRANGER}, {STRANGER}, set()).seconds == 30


def test_who_works_beside_such_a_stranger_does_not_help_him() -> None:
    """Nobody knows whose task it was: it can all be the doing of one who was there each time."""
    beside = [{STRANGER, OTHER}, {STRANGER, OWNER}, {STRANGER}, {STRANGER, OTHER, OWNER}]
    assert after_losses(*beside * 3).seconds is None
    assert after_losses(*beside, {OTHER}).seconds == 30


def test_an_agent_that_crashes_by_itself_gets_into_quarantine() -> None:
    assert after_losses(*[{OWNER}] * 3).seconds == 30
    assert after_losses({STRANGER}, {OTHER}, {STRANGER}).seconds == 30
    assert after_losses(*[{OWNER}] * 2).seconds is None


def test_losses_within_half_a_minute_are_one_event_whenever_it_begins() -> None:
    assert len(after_losses(*[{OWNER}] * 3, apart=10).blamed) == 1
    assert len(after_losses(*[{OWNER}] * 2, apart=31).blamed) == 2


def test_what_a_stranger_asks_for_does_not_decide_a_trial() -> None:
    # What led to the quarantine is still known.
    trial = suspect(1, 5, 6, quarantine=serving(until=NOW - timedelta(seconds=1)), round=1)
    assert judge(trial, faults(2, by=STRANGER), POLICY) == Sentence(trial.blamed)
    strict = replace(POLICY, failures=1)
    assert judge(suspect(), faults(2, by=STRANGER), strict) == Sentence(())
    assert judge(suspect(), faults(2), strict).seconds == 30
    assert judge(trial, faults(2), POLICY).seconds == 60
    assert judge(trial, faults(2, code="agent_lost", by=STRANGER), POLICY) == Sentence(trial.blamed)


@pytest.mark.parametrize("code", ["agent_lost", "agent_stopped"])
def test_runs_that_end_with_their_agent_are_one_failure(code: str) -> None:
    sentence = judge(suspect(), faults(1, 2, 3, 4, 5, code=code), POLICY)
    assert sentence.seconds is None


def test_the_pause_doubles_up_to_its_bound() -> None:
    past = NOW - timedelta(seconds=1)
    seconds = [
        judge(
            suspect(1, quarantine=serving(until=past, number=n), round=n), faults(2), POLICY
        ).seconds
        for n in (1, 2, 3, 50)
    ]
    assert seconds == [60, 100, 100, 100]


def test_after_a_quiet_time_counting_begins_anew() -> None:
    soon = suspect(1, 2, round=2, ended_at=NOW - timedelta(seconds=99))
    late = suspect(1, 2, round=2, ended_at=NOW - timedelta(seconds=101))
    assert judge(soon, faults(3), POLICY).round == 3
    assert judge(late, faults(3), POLICY).round == 1


def test_failures_of_tasks_begun_before_a_quarantine_do_not_make_it_longer() -> None:
    for until in (None, NOW + timedelta(seconds=5)):
        inside = suspect(1, quarantine=serving(until=until), round=1)
        assert judge(inside, faults(2, 3, 4), POLICY).seconds is None


def test_quarantine_can_be_switched_off() -> None:
    assert judge(suspect(), faults(1, 2, 3, 4), Policy(failures=0)).seconds is None
