"""Talking to a provider: which wire, how often to try, and what each failure means."""

import asyncio
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from orchestra.features.providers.errors import (
    KeyRefused,
    ModelNotFound,
    ProviderBusy,
    ProviderFailed,
    RequestRefused,
)
from orchestra.features.providers.service.anthropic_wire import AnthropicWire
from orchestra.features.providers.service.openai_wire import OpenAIWire
from orchestra.features.providers.service.wire import Outgoing, Wire
from orchestra.features.providers.types import ProviderKind
from orchestra.foundation import clock, ids
from orchestra.foundation.egress import Egress, Reply, Timeouts, Unreachable
from orchestra.foundation.errors import OrchestraError

# Failures that pass by themselves (529 is Anthropic's "overloaded").
RETRIED = frozenset({408, 429, 500, 502, 503, 504, 529})
ATTEMPTS = 3
# Callers wait themselves when a provider asks for more.
LONGEST_WAIT_SECONDS = 5.0
FIRST_PAUSE_SECONDS = 0.25
MAX_ERROR_BYTES = 64 * 1024
MAX_MESSAGE = 1_000

WIRES: Mapping[ProviderKind, Wire] = {
    ProviderKind.OPENAI: OpenAIWire(),
    ProviderKind.ANTHROPIC: AnthropicWire(),
}


async def post(egress: Egress, wire: Wire, out: Outgoing, *, timeouts: Timeouts) -> Reply:
    """Sends until the provider accepts; raises what became of it in the end.

    Only what has sent nothing to the caller yet is tried again: a connection that failed, and
    answers that mean "not now".
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            reply = await egress.send(
                "POST", out.url, headers=out.headers, body=out.body, timeouts=timeouts
            )
        except Unreachable:
            if attempt == ATTEMPTS:
                raise
            await asyncio.sleep(pause(attempt, None))
            continue
        if reply.status == 200:
            return reply
        wait = retry_after(reply.headers)
        is_last = attempt == ATTEMPTS or (wait or 0) > LONGEST_WAIT_SECONDS
        async with reply:
            if is_last or reply.status not in RETRIED:
                raise await failure(wire, reply)
        await asyncio.sleep(pause(attempt, wait))
    raise ProviderFailed


def pause(attempt: int, wait: float | None) -> float:
    """Seconds before the next attempt: what the provider asks for, or doubling with jitter."""
    if wait is not None:
        return wait
    return ids.full_jitter(FIRST_PAUSE_SECONDS * 2**attempt)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds from `Retry-After`, a number or a date (RFC 9110); None without a usable one."""
    given = headers.get("Retry-After", "").strip()
    if not given:
        return None
    if given.replace(".", "", 1).isdecimal() and given.isascii():
        return min(float(given), 86_400.0)
    try:
        moment = parsedate_to_datetime(given)
        return max((moment - clock.now()).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return None


async def failure(wire: Wire, reply: Reply) -> OrchestraError:
    """What an answer other than 200 means to our caller."""
    body = await reply.read(MAX_ERROR_BYTES)
    said = wire.error(body)
    message = (said.message if said else "")[:MAX_MESSAGE]
    match reply.status:
        case 401:
            # What a provider says here may repeat parts of the key.
            return KeyRefused()
        case 403:
            return KeyRefused(f"The provider does not allow this with its key. {message}".strip())
        case 429:
            return ProviderBusy(message or None, retry_after=retry_after(reply.headers) or 1.0)
        case 404:
            return ModelNotFound(message or "The provider knows no such model.")
        case status if 300 <= status < 400:
            return ProviderFailed("The provider redirects; set the base URL that it redirects to.")
        case status if 400 <= status < 500:
            return RequestRefused(
                message or f"The provider refused the request ({status}).",
                kind=said.type if said else None,
                code=said.code if said else None,
                parameter=said.param if said else None,
            )
        case status:
            return ProviderFailed(f"The provider failed ({status}). {message}".strip())
