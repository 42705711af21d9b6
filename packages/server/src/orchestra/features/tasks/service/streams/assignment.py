"""Builds what an agent gets with a task."""

from datetime import timedelta

from orchestra_protocol import agent_pb2 as pb

from orchestra.features.agents import ConnectedAgent
from orchestra.features.events import TaskEvent
from orchestra.features.tasks.events import Subject, status_event
from orchestra.features.tasks.repository.claiming import Claim
from orchestra.features.tasks.repository.leases import Held
from orchestra.features.tasks.service.ends.ending import Ending
from orchestra.features.tasks.service.orchestration.steps import (
    Earlier,
    fitting,
    must_be_told,
    to_wire,
)
from orchestra.features.tasks.service.sizes import ENVELOPE_BYTES
from orchestra.features.tasks.service.streams.run import Run
from orchestra.features.tasks.service.values import to_value
from orchestra.features.tasks.types import Life, TaskProblem, TaskState, Trigger
from orchestra.foundation import clock, timestamps


class Undeliverable(ValueError):
    """No agent can be given this input."""


def run_of(claim: Claim, agent: ConnectedAgent) -> Run:
    """The run of a task that was claimed for that agent."""
    return Run(
        task_id=claim.id,
        epoch=claim.epoch,
        attempt=claim.attempt,
        user_id=claim.user_id,
        agent=agent,
        run_seconds=claim.run_timeout_seconds,
        progress_timeout=claim.progress_timeout_seconds,
    )


def undeliverable(run: Run, error: Undeliverable) -> Ending:
    """It fails for good: the next agent could not be given it, either."""
    problem = TaskProblem("undeliverable", str(error))
    return Ending(task_id=run.task_id, epoch=run.epoch, trigger=Trigger.GIVE_UP, problem=problem)


def assignment(
    claim: Claim, earlier: Earlier, *, submitter: str, run_token: str, largest: int
) -> pb.Assignment:
    """The task as the agent sees it.

    Its idempotency key is the same for every attempt, and that of the task that it does again. Its
    steps are what was done already: all effects, and what it has waited for as far as there is
    room. Raises Undeliverable for an input that does not fit a Value, or for input and effects that
    do not fit into a message of `largest` bytes.
    """
    message = pb.Assignment(
        capability=claim.capability,
        attempt=claim.attempt,
        idempotency_key=str(earlier.first_id or claim.id),
        run_token=run_token,
        trace_parent=claim.trace_parent or "",
        submitter=submitter,
        parent_id=str(claim.parent_id) if claim.parent_id else "",
    )
    steps = earlier.steps
    try:
        to_value(claim.input, message.input)
        message.steps.extend(to_wire([step for step in steps if must_be_told(step)]))
    except (ValueError, OverflowError, TypeError) as error:
        raise Undeliverable(f"The input cannot be sent: {error}") from error
    run_ends = clock.now() + timedelta(seconds=claim.run_timeout_seconds)
    message.deadline.CopyFrom(timestamps.to_wire(min(run_ends, claim.deadline or run_ends)))
    size = message.ByteSize()
    if (room := largest - ENVELOPE_BYTES - size) < 0:
        said = f"The task and its steps have {size} bytes on the stream; {largest} are possible."
        raise Undeliverable(said)
    message.steps.extend(fitting([step for step in steps if not must_be_told(step)], room))
    return message


def life_of(claim: Claim) -> Life:
    """What the task has become by the claim."""
    return Life(TaskState.RUNNING, claim.epoch, claim.attempt, claim.max_attempts)


def subject_of(claim: Claim) -> Subject:
    """The task as events name it."""
    return Subject(
        task_id=claim.id,
        user_id=claim.user_id,
        capability=claim.capability,
        agent_id=claim.agent_id,
        agent_name=claim.agent_name,
    )


def began_again(held: Held, agent: ConnectedAgent) -> TaskEvent:
    """Tells of a run's beginning, which the control plane before could not tell any more."""
    life = Life(TaskState.RUNNING, held.epoch, held.attempt, held.attempt)
    subject = Subject(
        task_id=held.task_id,
        user_id=held.user_id,
        capability="",
        agent_id=agent.id,
        agent_name=agent.name,
    )
    return status_event(subject, life)
