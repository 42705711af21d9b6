"""Wraps and unwraps the messages of the long stream. It knows no state."""

from collections.abc import Iterable
from typing import TypeVar

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError, Message
from orchestra_protocol import agent_pb2 as pb

from orchestra_sdk import _clock

_M = TypeVar("_M", bound=Message)
_PREFIX = "type.googleapis.com/"


def wrap(
    kind: "pb.TaskType.ValueType",
    payload: Message,
    *,
    agent_id: str,
    task_id: str = "",
    epoch: int = 0,
) -> pb.TaskMessage:
    """Return `payload` as a message of the stream."""
    return stamp(bare(kind, payload, task_id=task_id, epoch=epoch), agent_id)


def bare(
    kind: "pb.TaskType.ValueType", payload: Message, *, task_id: str = "", epoch: int = 0
) -> pb.TaskMessage:
    """Return `payload` as a message within a batch, which says itself by whom and when."""
    return pb.TaskMessage(
        task_id=task_id,
        type=kind,
        payload=AnyMessage(
            type_url=_PREFIX + payload.DESCRIPTOR.full_name, value=payload.SerializeToString()
        ),
        epoch=epoch,
    )


def stamp(message: pb.TaskMessage, agent_id: str) -> pb.TaskMessage:
    """Say by whom and when a message was sent."""
    message.agent_id = agent_id
    message.timestamp.FromNanoseconds(_clock.nanoseconds())
    return message


def batch(messages: list[pb.TaskMessage]) -> pb.TaskMessage:
    """Return several bare messages as one."""
    return bare(pb.TASK_TYPE_BATCH, pb.Batch(messages=messages))


def messages_in(message: pb.TaskMessage) -> Iterable[pb.TaskMessage]:
    """Return what a batch holds, or the message itself."""
    return unwrap(message, pb.Batch).messages if message.type == pb.TASK_TYPE_BATCH else (message,)


def unwrap(message: pb.TaskMessage, kind: type[_M]) -> _M:
    """Return the payload; one that is absent or cannot be read is an empty message."""
    payload = kind()
    try:
        message.payload.Unpack(payload)
    except DecodeError:
        return kind()
    return payload
