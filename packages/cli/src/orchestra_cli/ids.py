"""The only place of the command line that draws random values and asks for the time."""

import random
import time
import uuid

_jitter = random.SystemRandom()


def new_key() -> str:
    """An idempotency key: the same request sent again takes effect once."""
    return str(uuid.uuid4())


def monotonic() -> float:
    """Seconds on a clock that never goes back."""
    return time.monotonic()


def pause(attempt: int) -> None:
    """Waits before attempt `attempt` (1 is the first repetition): full jitter, at most 3 s."""
    time.sleep(_jitter.uniform(0.05, min(3.0, 0.2 * 2**attempt)))


def wait(seconds: float) -> None:
    """Waits as long as the instance has asked for, and a little more by chance."""
    time.sleep(seconds + _jitter.uniform(0, min(1.0, seconds / 4)))
