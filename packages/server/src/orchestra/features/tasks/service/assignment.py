"""Builds what an agent gets with a task."""

from datetime import timedelta

from google.protobuf.timestamp_pb2 import Timestamp
from orchestra_protocol import agent_pb2 as pb

from orchestra.features.tasks.repository.claiming import Claim
from orchestra.features.tasks.service.values import to_value
from orchestra.foundation import clock


def assignment(claim: Claim, *, submitter: str, run_token: str) -> pb.Assignment:
    """The task as the agent sees it. Its idempotency key is the same for every attempt."""
    message = pb.Assignment(
        capability=claim.capability,
        attempt=claim.attempt,
        idempotency_key=str(claim.id),
        run_token=run_token,
        trace_parent=claim.trace_parent or "",
        submitter=submitter,
    )
    to_value(claim.input, message.input)
    deadline = Timestamp()
    deadline.FromDatetime(clock.now() + timedelta(seconds=claim.run_timeout_seconds))
    message.deadline.CopyFrom(deadline)
    return message
