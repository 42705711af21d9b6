"""How often one client may sign in or submit, counted at the door, before anything costs anything.

Each client (its IPv4 address, or the /64 of its IPv6 address) has a bucket of its own at each door.
The api counts failed sign-ins besides, exactly and for all gateways together; this keeps floods
from reaching it.
"""

from dataclasses import dataclass
from math import ceil

from orchestra.engines.envoy.typed import Config, typed

FILTER = "envoy.filters.http.local_ratelimit"
KIND = "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"
# Clients that are remembered; the one not seen for longest is forgotten first.
MOST_CLIENTS = 10_000
CLIENT = "masked_remote_address"
# A customer of IPv6 has at least a /64 to draw addresses from.
IPV4_BITS, IPV6_BITS = 32, 64
# Envoy fills a bucket at most so often.
SHORTEST_FILL_SECONDS = 0.05
LARGEST_COUNT = 2**32 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """A bucket for each client: `burst` at once, then `per_second` in the long run."""

    name: str
    stage: int
    per_second: float
    burst: int

    @property
    def fill_seconds(self) -> float:
        return max(SHORTEST_FILL_SECONDS, 1 / self.per_second)

    @property
    def fill_tokens(self) -> int:
        return max(1, round(self.per_second * self.fill_seconds))

    @property
    def retry_after(self) -> int:
        return max(1, ceil(self.fill_seconds))


def sign_in(*, per_minute: int) -> RateLimit | None:
    """A minute's sign-ins may come at once; 0 means that there is no limit."""
    if per_minute == 0:
        return None
    return RateLimit(name="sign_in", stage=0, per_second=per_minute / 60, burst=per_minute)


def submit(*, per_second: int) -> RateLimit | None:
    """Two seconds' submits may come at once; 0 means that there is no limit."""
    if per_second == 0:
        return None
    return RateLimit(name="submit", stage=1, per_second=per_second, burst=2 * per_second)


def rate_filter(limit: RateLimit) -> Config:
    """The filter that counts; it looks only at routes that name its stage."""
    bucket = {
        "max_tokens": limit.burst,
        "tokens_per_fill": limit.fill_tokens,
        "fill_interval": f"{limit.fill_seconds:.9f}s",
    }
    settings: Config = {
        "stat_prefix": limit.name,
        "stage": limit.stage,
        # Only clients' own buckets count; Envoy asks for one that all share, too.
        "token_bucket": {**bucket, "max_tokens": LARGEST_COUNT, "tokens_per_fill": LARGEST_COUNT},
        "always_consume_default_token_bucket": False,
        "filter_enabled": _always(limit, "enabled"),
        "filter_enforced": _always(limit, "enforced"),
        "descriptors": [{"entries": [{"key": CLIENT}], "token_bucket": bucket}],
        "max_dynamic_descriptors": MOST_CLIENTS,
        "rate_limited_as_resource_exhausted": True,
        "response_headers_to_add": [
            {"header": {"key": "retry-after", "value": str(limit.retry_after)}}
        ],
    }
    return typed(f"{FILTER}.{limit.name}", KIND, settings)


def on_route(limit: RateLimit | None) -> Config:
    """What a route says to be counted under `limit`."""
    if limit is None:
        return {}
    client = {"v4_prefix_mask_len": IPV4_BITS, "v6_prefix_mask_len": IPV6_BITS}
    return {"rate_limits": [{"stage": limit.stage, "actions": [{CLIENT: client}]}]}


def _always(limit: RateLimit, what: str) -> Config:
    key = f"orchestra.{limit.name}_{what}"
    return {"runtime_key": key, "default_value": {"numerator": 100, "denominator": "HUNDRED"}}
