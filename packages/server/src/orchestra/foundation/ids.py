"""The only place that draws random numbers and identities."""

import os
import random
import secrets
import time
import uuid

_jitter = random.SystemRandom()


def new_id() -> uuid.UUID:
    """A UUIDv7 (RFC 9562).

    Ordered by creation to the millisecond, so that keyset paging and indexes stay local.
    """
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds & ((1 << 48) - 1)) << 80 | int.from_bytes(os.urandom(10))
    value = value & ~(0xF << 76) | 0x7 << 76
    return uuid.UUID(int=value & ~(0b11 << 62) | 0b10 << 62)


def new_secret(size: int = 32) -> str:
    """`size` random bytes as URL-safe text."""
    return secrets.token_urlsafe(size)


def random_bytes(size: int) -> bytes:
    return secrets.token_bytes(size)


def short_id() -> str:
    """Twelve hexadecimal characters, for names of processes and feeds that live briefly."""
    return secrets.token_hex(6)


def pair_below(count: int) -> tuple[int, int]:
    """Two numbers from 0 to `count` - 1, drawn at random; the same twice only if there is one."""
    first = _jitter.randrange(count)
    second = _jitter.randrange(count - 1) if count > 1 else first
    return first, second + (second >= first and count > 1)


def full_jitter(ceiling: float) -> float:
    """Seconds to wait, even over 0 to `ceiling`.

    Source: AWS Architecture Blog, "Exponential Backoff And Jitter".
    """
    return _jitter.uniform(0, ceiling)
