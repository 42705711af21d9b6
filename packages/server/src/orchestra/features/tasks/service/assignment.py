"""Builds what an agent gets with a task."""

from datetime import timedelta

from google.protobuf.timestamp_pb2 import Timestamp
from orchestra_protocol import agent_pb2 as pb

from orchestra.features.tasks.repository.claiming import Claim
from orchestra.features.tasks.service.values import to_value
from orchestra.foundation import clock

# What a message of the stream needs around the assignment.
ENVELOPE_BYTES = 4 * 1024


class Undeliverable(ValueError):
    """No agent can be given this input."""


def assignment(claim: Claim, *, submitter: str, run_token: str, largest: int) -> pb.Assignment:
    """The task as the agent sees it. Its idempotency key is the same for every attempt.

    Raises Undeliverable for an input that does not fit a Value or a message of `largest` bytes.
    """
    message = pb.Assignment(
        capability=claim.capability,
        attempt=claim.attempt,
        idempotency_key=str(claim.id),
        run_token=run_token,
        trace_parent=claim.trace_parent or "",
        submitter=submitter,
    )
    try:
        to_value(claim.input, message.input)
    except (ValueError, OverflowError, TypeError) as error:
        raise Undeliverable(f"The input cannot be sent: {error}") from error
    deadline = Timestamp()
    deadline.FromDatetime(clock.now() + timedelta(seconds=claim.run_timeout_seconds))
    message.deadline.CopyFrom(deadline)
    if (size := message.ByteSize()) > largest - ENVELOPE_BYTES:
        raise Undeliverable(f"The task has {size} bytes on the stream; {largest} are possible.")
    return message
