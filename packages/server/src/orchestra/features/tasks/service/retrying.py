"""Whether, and after which pause, a failed attempt is followed by another."""

from orchestra.features.tasks.types import RetryPolicy
from orchestra.foundation import ids
from orchestra.foundation.errors import FieldError

# Before another attempt: 1 s, 2 s, 4 s … at most a minute, of which a half is chance.
DEFAULT = RetryPolicy()
# Beyond this power every pause is the longest one, and the numbers become too large for a float.
MAX_POWER = 64
MAX_PAUSE_SECONDS = 86_400.0
MAX_FACTOR = 100.0
MAX_CODES, MAX_CODE_LENGTH = 50, 100


def pause(policy: RetryPolicy | None, attempt: int) -> float:
    """Seconds to wait after that attempt, with chance, so that many do not come back at once."""
    rule = policy or DEFAULT
    grown = rule.first_seconds * rule.factor ** min(attempt - 1, MAX_POWER)
    ceiling = min(rule.longest_seconds, grown)
    return ceiling * (1 - rule.jitter) + ids.full_jitter(ceiling * rule.jitter)


def is_final(policy: RetryPolicy | None, code: str) -> bool:
    """Whether the policy says that another attempt after this error is useless."""
    return policy is not None and code in policy.not_on


def problems(policy: RetryPolicy | None) -> list[FieldError]:
    """What is wrong with a policy that somebody has sent; its `max_attempts` is checked elsewhere.

    Written so that NaN, which compares false with everything, is refused too.
    """
    if policy is None:
        return []
    found: list[FieldError] = []
    if not 0 <= policy.first_seconds <= policy.longest_seconds <= MAX_PAUSE_SECONDS:
        said = f"0 or more, at most longest_seconds, and that at most {MAX_PAUSE_SECONDS:.0f}"
        found.append(FieldError("retry.first_seconds", said))
    if not 1 <= policy.factor <= MAX_FACTOR:
        found.append(FieldError("retry.factor", f"between 1 and {MAX_FACTOR:g}"))
    if not 0 <= policy.jitter <= 1:
        found.append(FieldError("retry.jitter", "between 0 and 1"))
    is_long = any(not 1 <= len(code) <= MAX_CODE_LENGTH for code in policy.not_on)
    if len(policy.not_on) > MAX_CODES or is_long:
        said = f"at most {MAX_CODES} codes of 1 to {MAX_CODE_LENGTH} characters"
        found.append(FieldError("retry.not_on", said))
    return found
