"""Slows down guessing: attempts are counted before Argon2 runs, by user name and by address.

An attempt is counted as failed when it begins and taken back when it succeeds, so that many at once
do not slip through. The counts are in the database: a restart or another replica does not forget
them.
"""

import hashlib
import ipaddress
from dataclasses import dataclass

from orchestra.features.identity import repository
from orchestra.foundation import clock
from orchestra.foundation.database import Transaction


@dataclass(frozen=True, slots=True)
class Limit:
    """After `free` failures each further one blocks for twice as long, up to `longest` seconds."""

    free: int
    longest: float


# A minute at most by name: longer would let anybody lock anybody out.
BY_NAME = Limit(free=5, longest=60)
BY_ADDRESS = Limit(free=30, longest=300)
# Failures older than this no longer count.
WINDOW_SECONDS = 3_600.0


async def begin(tx: Transaction, *, username: str, ip: str) -> float | None:
    """Counts one attempt; returns the seconds to wait if it may not be made now.

    It returns rather than raises so that the count is committed.
    """
    for key, limit in _keys(username, ip):
        blocked = await repository.count_attempt(
            tx,
            key,
            now=clock.now(),
            free=limit.free,
            longest_seconds=limit.longest,
            window_seconds=WINDOW_SECONDS,
        )
        if blocked is not None:
            return max(1.0, blocked)
    return None


async def succeeded(tx: Transaction, *, username: str, ip: str) -> None:
    """Forgets the name's failures and takes this attempt back from the address."""
    for key, limit in _keys(username, ip):
        await repository.take_back_attempt(tx, key, forget=limit is BY_NAME)


def _keys(username: str, ip: str) -> list[tuple[bytes, Limit]]:
    keys = [(_digest(f"name:{username.lower()}"), BY_NAME)]
    # Without the gateway in front everybody would share one empty address.
    return [(_digest(f"address:{_network(ip)}"), BY_ADDRESS), *keys] if ip else keys


def _network(ip: str) -> str:
    """An IPv6 customer has at least a /64 to draw addresses from."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return ip
    if address.version == 4:
        return ip
    return str(ipaddress.ip_network((address, 64), strict=False))


def _digest(text: str) -> bytes:
    # Hashed, since people type their password into the wrong field.
    return hashlib.sha256(text.encode(errors="replace")).digest()
