"""Which types of event a caller's live feed carries beyond the default ones."""

import msgspec

from orchestra.features.events import repository
from orchestra.features.events.service.live import DEFAULT_TYPES
from orchestra.foundation.database import Transaction
from orchestra.foundation.messaging import Bus

# Core NATS: every api process adds what it hears to the feeds that it holds.
ANNOUNCE = "feeds.subscribe"
MAX_TYPES = 64


class Announcement(msgspec.Struct, frozen=True):
    """New types for all feeds of a caller, or for one of them."""

    caller: str
    event_types: frozenset[str]
    feed_id: str | None = None

    def concerns(self, caller: str, feed_id: str) -> bool:
        return caller == self.caller and self.feed_id in {None, feed_id}


def read_announcement(payload: bytes) -> Announcement | None:
    try:
        return msgspec.json.decode(payload, type=Announcement)
    except msgspec.MsgspecError:
        return None


async def patterns_of(tx: Transaction, caller: str) -> frozenset[str]:
    """The default types and those that the caller has subscribed to."""
    return DEFAULT_TYPES | frozenset(await repository.subscriptions(tx, caller))


async def subscribe(
    tx: Transaction, bus: Bus, *, caller: str, event_type: str, feed_id: str | None
) -> frozenset[str]:
    """Adds a type to one open feed or, without `feed_id`, to all of the caller's, also later."""
    if feed_id is None:
        await repository.add_subscription(tx, caller, event_type, limit=MAX_TYPES)
    announcement = Announcement(caller, frozenset({event_type}), feed_id)
    tx.after_commit(lambda: bus.announce(ANNOUNCE, msgspec.json.encode(announcement)))
    return await patterns_of(tx, caller) | {event_type}
