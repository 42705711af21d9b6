"""Wraps and unwraps the messages of the long stream. It knows no state."""

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
    return pb.TaskMessage(
        task_id=task_id,
        agent_id=agent_id,
        type=kind,
        payload=AnyMessage(
            type_url=_PREFIX + payload.DESCRIPTOR.full_name, value=payload.SerializeToString()
        ),
        timestamp=_clock.timestamp(),
        epoch=epoch,
    )


def unwrap(message: pb.TaskMessage, kind: type[_M]) -> _M:
    """Return the payload; one that is absent or cannot be read is an empty message."""
    payload = kind()
    try:
        message.payload.Unpack(payload)
    except DecodeError:
        return kind()
    return payload
