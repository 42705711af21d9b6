"""Applies the transition table. Pure: it reads no clock, no row and no message."""

from dataclasses import replace

from orchestra.features.tasks.errors import NotAllowed, StaleEpoch
from orchestra.features.tasks.types import BY_AGENT, HELD, TRANSITIONS, UNUSED, Life, Trigger


def step(life: Life, trigger: Trigger, *, under: int | None = None) -> Life:
    """What a task becomes; `under` is the epoch of the lease that says so.

    Raises StaleEpoch when that lease is over, and NotAllowed when the table has no such row. A
    retry without attempts left is a giving up. A transition that the agent did not announce moves
    the epoch, and so does giving the slot back; that, and a run that was given back before it had
    begun, is no attempt used up.
    """
    if under is not None and under != life.epoch:
        raise StaleEpoch(f"Epoch {under} is over, the task is at {life.epoch}.")
    if trigger is Trigger.RETRY and life.attempt >= life.max_attempts:
        trigger = Trigger.GIVE_UP
    state = TRANSITIONS.get((life.state, trigger))
    if state is None:
        raise NotAllowed(f"A task that is {life.state} cannot {trigger}.")
    is_asked = trigger is Trigger.CANCEL and life.state in HELD  # and the lease goes on
    if trigger in BY_AGENT or is_asked:
        return replace(life, state=state)
    attempt = life.attempt + (trigger is Trigger.CLAIM) - (trigger in UNUSED)
    return replace(life, state=state, epoch=life.epoch + 1, attempt=attempt)
