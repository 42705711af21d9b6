"""The transition table: what can be reached keeps its promises, whatever happens in which order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orchestra.features.tasks.errors import NotAllowed, StaleEpoch
from orchestra.features.tasks.service.lifecycle import step
from orchestra.features.tasks.types import (
    HELD,
    TERMINAL,
    TRANSITIONS,
    Life,
    TaskState,
    Trigger,
)

triggers = st.lists(st.sampled_from(list(Trigger)), max_size=40)
attempts = st.integers(min_value=1, max_value=5)


def new_task(max_attempts: int) -> Life:
    return Life(TaskState.QUEUED, epoch=1, attempt=0, max_attempts=max_attempts)


@given(triggers, attempts)
def test_every_sequence_keeps_the_invariants(sequence: list[Trigger], max_attempts: int) -> None:
    life = new_task(max_attempts)
    for trigger in sequence:
        before = life
        try:
            life = step(life, trigger, under=life.epoch)
        except NotAllowed:
            continue
        assert before.state not in TERMINAL, "what is over stays over"
        assert life.epoch >= before.epoch
        assert life.attempt <= life.max_attempts
        assert (life.attempt > before.attempt) == (trigger is Trigger.CLAIM)
        if life.state in HELD and before.state not in HELD:
            assert life.epoch > before.epoch, "every lease has an epoch of its own"
        if life.state is TaskState.QUEUED:
            assert life.epoch > before.epoch, "a lease that was taken back is over"


@given(triggers, attempts, st.integers(min_value=1, max_value=60), st.sampled_from(list(Trigger)))
def test_a_write_under_another_epoch_is_always_refused(
    sequence: list[Trigger], max_attempts: int, epoch: int, late: Trigger
) -> None:
    life = new_task(max_attempts)
    for trigger in sequence:
        if (life.state, trigger) in TRANSITIONS:
            life = step(life, trigger)
    if epoch != life.epoch:
        with pytest.raises(StaleEpoch):
            step(life, late, under=epoch)


@given(triggers, attempts)
def test_from_every_reachable_state_an_end_can_be_reached(
    sequence: list[Trigger], max_attempts: int
) -> None:
    life = new_task(max_attempts)
    for trigger in sequence:
        if (life.state, trigger) in TRANSITIONS:
            life = step(life, trigger)
    for trigger in (Trigger.CANCEL, Trigger.GIVE_UP):
        if (life.state, trigger) in TRANSITIONS:
            life = step(life, trigger)
    assert life.state in TERMINAL


def test_a_retry_without_attempts_left_is_the_end() -> None:
    life = Life(TaskState.RUNNING, epoch=2, attempt=3, max_attempts=3)
    assert step(life, Trigger.RETRY) == Life(TaskState.FAILED, 3, 3, 3)


def test_nobody_runs_again_what_somebody_has_cancelled() -> None:
    life = Life(TaskState.CANCELLING, epoch=2, attempt=1, max_attempts=3)
    assert step(life, Trigger.RETRY).state is TaskState.CANCELLED


def test_the_agents_own_end_keeps_its_epoch() -> None:
    life = Life(TaskState.RUNNING, epoch=2, attempt=1, max_attempts=3)
    assert step(life, Trigger.RESULT, under=2) == Life(TaskState.SUCCEEDED, 2, 1, 3)


def test_a_task_that_waits_for_others_has_used_up_no_attempt_and_no_old_lease_can_write() -> None:
    running = Life(TaskState.RUNNING, epoch=2, attempt=3, max_attempts=3)
    waiting = step(running, Trigger.SUSPEND, under=2)
    assert waiting == Life(TaskState.WAITING, 3, 2, 3)
    again = step(step(waiting, Trigger.RESUME), Trigger.CLAIM)
    assert again == Life(TaskState.RUNNING, 5, 3, 3)
    with pytest.raises(StaleEpoch):
        step(again, Trigger.RESULT, under=2)
