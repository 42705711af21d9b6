"""Checks what somebody wants done, and fills in the defaults."""

import hashlib
import re
import uuid
from datetime import datetime

import msgspec

from orchestra.features import blobs
from orchestra.features.tasks.errors import InputTooLarge
from orchestra.features.tasks.repository.submitting import PreparedTask
from orchestra.features.tasks.service import retrying, sizes, values
from orchestra.features.tasks.types import NewTask, QueueName, TaskId
from orchestra.foundation import clock, ids, telemetry, timestamps
from orchestra.foundation.errors import FieldError, InvalidInput
from orchestra.foundation.settings import Settings

CAPABILITY = re.compile(r"[A-Za-z0-9_-]{1,64}")
MAX_KEY_LENGTH = 200
MIN_SECONDS, MAX_SECONDS = 0.1, 2_592_000.0  # thirty days
MAX_AHEAD_SECONDS = 366 * 86_400.0
MAX_ATTEMPTS = 100
_CANONICAL = msgspec.json.Encoder(order="sorted", uuid_format="canonical")


def prepare(
    new: NewTask, user_id: uuid.UUID, settings: Settings, *, wants_finish: bool = False
) -> PreparedTask:
    """A task ready to be written; raises InvalidInput or InputTooLarge naming the fields."""
    if problems := _problems(new):
        raise InvalidInput(
            "; ".join(f"{item.field}: {item.message}" for item in problems), fields=problems
        )
    input_json = _encode_input(new, settings)
    queue_timeout = _or(new.queue_timeout_seconds, settings.queue_timeout_seconds)
    run_timeout = _or(new.run_timeout_seconds, settings.run_timeout_seconds)
    progress_timeout = _or(new.progress_timeout_seconds, settings.progress_timeout_seconds)
    return PreparedTask(
        id=TaskId(ids.new_id()),
        queue=queue_of(new),
        capability=new.capability,
        priority=new.priority,
        user_id=user_id,
        input_json=input_json,
        idempotency_key=new.idempotency_key,
        request_hash=_request_hash(new),
        affinity_key=new.affinity_key,
        trace_parent=telemetry.trace_headers().get("traceparent"),
        max_attempts=_max_attempts(new) or settings.max_attempts,
        queue_timeout_seconds=queue_timeout,
        run_timeout_seconds=run_timeout,
        progress_timeout_seconds=progress_timeout,
        wants_finish=wants_finish,
        delay_seconds=new.delay_seconds,
        run_at=new.run_at,
        deadline_seconds=new.deadline_seconds,
        retry_json=msgspec.json.encode(new.retry) if new.retry else None,
        blobs=blobs.named_in(input_json),
    )


def queue_of(new: NewTask) -> QueueName:
    """Where it will wait: for one agent, or for any with the capability."""
    return QueueName(str(new.agent_id) if new.agent_id else new.capability)


def is_capability(name: str) -> bool:
    """Whether it can name a capability. An agent's id cannot: that is the agent's own queue."""
    if not CAPABILITY.fullmatch(name):
        return False
    try:
        uuid.UUID(name)
    except ValueError:
        return True
    return False


def _problems(new: NewTask) -> list[FieldError]:
    found = _input_problems(new)
    if not new.capability and new.agent_id is None:
        found.append(FieldError("capability", "name a capability or an agent_id"))
    if new.capability and not is_capability(new.capability):
        found.append(FieldError("capability", "1 to 64 letters, digits, - and _, and not an id"))
    if new.idempotency_key is not None and not _is_key(new.idempotency_key):
        found.append(FieldError("idempotency_key", f"1 to {MAX_KEY_LENGTH} printable characters"))
    if new.affinity_key is not None and not _is_key(new.affinity_key):
        found.append(FieldError("affinity_key", f"1 to {MAX_KEY_LENGTH} printable characters"))
    attempts = _max_attempts(new)
    if attempts is not None and not 1 <= attempts <= MAX_ATTEMPTS:
        found.append(FieldError("max_attempts", f"between 1 and {MAX_ATTEMPTS}"))
    for name in ("queue_timeout_seconds", "run_timeout_seconds", "progress_timeout_seconds"):
        seconds: float | None = getattr(new, name)
        if seconds is not None and not MIN_SECONDS <= seconds <= MAX_SECONDS:
            found.append(FieldError(name, f"between {MIN_SECONDS:g} and {MAX_SECONDS:g} seconds"))
    return found + _timing_problems(new) + retrying.problems(new.retry)


def _input_problems(new: NewTask) -> list[FieldError]:
    """What no agent could be sent is refused while somebody is there to be told."""
    try:
        values.check(new.input)
    except ValueError as error:
        return [FieldError("input", str(error))]
    return []


def _timing_problems(new: NewTask) -> list[FieldError]:
    found: list[FieldError] = []
    if new.delay_seconds is not None and not 0 <= new.delay_seconds <= MAX_AHEAD_SECONDS:
        found.append(FieldError("delay_seconds", f"between 0 and {MAX_AHEAD_SECONDS:.0f} seconds"))
    deadline = new.deadline_seconds
    if deadline is not None and not MIN_SECONDS <= deadline <= MAX_AHEAD_SECONDS:
        said = f"between {MIN_SECONDS:g} and {MAX_AHEAD_SECONDS:.0f} seconds"
        found.append(FieldError("deadline_seconds", said))
    if new.run_at is None:
        return found
    if new.delay_seconds is not None:
        found.append(FieldError("run_at", "give delay_seconds or run_at, not both"))
    return found + _moment_problems(new.run_at)


def _moment_problems(run_at: datetime) -> list[FieldError]:
    if run_at.tzinfo is None:
        return [FieldError("run_at", "give the offset, as in 2026-12-24T18:00:00+01:00")]
    try:
        ahead = timestamps.as_utc(run_at) - clock.now()
    except ValueError as error:
        return [FieldError("run_at", str(error))]
    if ahead.total_seconds() > MAX_AHEAD_SECONDS:
        return [FieldError("run_at", "more than a year ahead")]
    return []


def _max_attempts(new: NewTask) -> int | None:
    """The policy's, where there is one."""
    given = new.retry.max_attempts if new.retry else None
    return new.max_attempts if given is None else given


def _is_key(key: str) -> bool:
    return 1 <= len(key) <= MAX_KEY_LENGTH and key.isprintable()


def _encode_input(new: NewTask, settings: Settings) -> bytes:
    encoded = msgspec.json.encode(new.input)
    if said := sizes.too_large_input(new.input, len(encoded), settings):
        raise InputTooLarge(f"The input {said}", fields=[FieldError("input", "too large")])
    return encoded


def _request_hash(new: NewTask) -> bytes:
    """The same for the same wish, however it was spelled: SHA-256 of canonical JSON."""
    if new.idempotency_key is None:
        return b""
    wish = {name: getattr(new, name) for name in NewTask.__slots__ if name != "idempotency_key"}
    return hashlib.sha256(_CANONICAL.encode(wish)).digest()


def _or(given: float | None, default: float) -> float:
    return default if given is None else given
