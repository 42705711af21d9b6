"""What is done for all open feeds in turn, so that none needs a timer: heartbeats, dropping those
whose readers take nothing, and asking again whether the caller's login still holds.
"""

import asyncio
from collections.abc import Callable, Iterable

import structlog

from orchestra.features.events.service.feed import Feed
from orchestra.foundation.auth import Actor, Authenticator, Credential
from orchestra.foundation.errors import Forbidden, OrchestraError, Unauthenticated

log = structlog.get_logger(__name__)

SWEEP_SECONDS = 1.0
STUCK_SECONDS = 30
AUTHENTICATE_SECONDS = 30
# A fresh look, as identity remembers what it knows of a credential for up to 1 s.
FORGET_SECONDS = 1.1


class Sweep:
    """Goes over the feeds once a second, a slice of them for each purpose."""

    def __init__(
        self,
        feeds: Callable[[], Iterable[Feed]],
        *,
        heartbeat_seconds: float,
        authenticator: Authenticator | None,
    ) -> None:
        self._feeds = feeds
        self._heartbeat_sweeps = max(1, round(heartbeat_seconds / SWEEP_SECONDS))
        self._authenticator = authenticator
        self._count = 0

    async def run(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self.look()
            await self.authenticate(
                [feed for feed in self._feeds() if self._is_turn(feed, AUTHENTICATE_SECONDS)]
            )

    def look(self) -> None:
        """One second's worth of heartbeats and drops."""
        self._count += 1
        for feed in list(self._feeds()):
            if feed.is_dropped:
                feed.drop()
            elif feed.is_sending:
                feed.stuck_for += 1
                if feed.stuck_for * SWEEP_SECONDS > STUCK_SECONDS:
                    feed.drop()
            elif self._is_turn(feed, self._heartbeat_sweeps):
                if not feed.has_sent:
                    feed.reader.beat()
                feed.has_sent = False

    async def revoked(self, feeds: list[Feed]) -> None:
        """Closes those whose login has ended: at once, and when what was remembered is gone."""
        await self.authenticate(feeds)
        await asyncio.sleep(FORGET_SECONDS)
        await self.authenticate([feed for feed in feeds if feed.reader.closing is None])

    async def authenticate(self, feeds: list[Feed]) -> None:
        """Asks once for each credential, and closes the feeds of those that do not hold.

        What a feed may show was decided by the role with which it was opened.
        """
        if self._authenticator is None:
            return
        known: dict[Credential, Actor | OrchestraError | None] = {}
        for feed in feeds:
            if feed.credential not in known:
                known[feed.credential] = await self._ask(feed.credential)
            answer = known[feed.credential]
            if isinstance(answer, OrchestraError):
                feed.reader.close("login_ended")
            elif answer is not None and not _is_as_admitted(answer, feed):
                feed.reader.close("not_allowed")

    async def _ask(self, credential: Credential) -> Actor | OrchestraError | None:
        if self._authenticator is None:
            return None
        try:
            return await self._authenticator.authenticate(credential)
        except (Unauthenticated, Forbidden) as error:
            return error
        except OrchestraError as error:
            # The database is away: who was let in stays until it is known that he may not.
            log.warning("a feed's login could not be checked", error=error.message)
            return None

    def _is_turn(self, feed: Feed, sweeps: int) -> bool:
        """Spreads the feeds evenly over as many sweeps."""
        return (self._count + id(feed) // 64) % sweeps == 0


def _is_as_admitted(actor: Actor, feed: Feed) -> bool:
    return actor.may(feed.permission) and actor.role is feed.role
