"""Whether, and after which pause, a failed attempt is followed by another."""

from orchestra.features.tasks.types import RetryPolicy
from orchestra.foundation import ids

# Before another attempt: 1 s, 2 s, 4 s … at most a minute, of which a half is chance.
DEFAULT = RetryPolicy()
# Beyond this power every pause is the longest one, and the numbers become too large for a float.
MAX_POWER = 64


def pause(policy: RetryPolicy | None, attempt: int) -> float:
    """Seconds to wait after that attempt, with chance, so that many do not come back at once."""
    rule = policy or DEFAULT
    grown = rule.first_seconds * rule.factor ** min(attempt - 1, MAX_POWER)
    ceiling = min(rule.longest_seconds, grown)
    return ceiling * (1 - rule.jitter) + ids.full_jitter(ceiling * rule.jitter)


def is_final(policy: RetryPolicy | None, code: str) -> bool:
    """Whether the policy says that another attempt after this error is useless."""
    return policy is not None and code in policy.not_on
