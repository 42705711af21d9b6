"""The live feed, and subscriptions to it."""

from typing import Annotated, Any

from litestar import Request, get, post
from litestar.handlers import BaseRouteHandler
from litestar.params import Parameter

from orchestra.features.events.schemas import Subscribe, Subscribed
from orchestra.features.events.service import subscriptions
from orchestra.features.events.service.feed import FeedResponse
from orchestra.features.events.service.feeds import Feeds
from orchestra.foundation.auth import Actor, Permission, require
from orchestra.foundation.database import Database
from orchestra.foundation.messaging import Bus
from orchestra.foundation.web import credential_of, policy

Cursor = Annotated[str | None, Parameter(max_length=40, description="Where to go on.")]
LastEventId = Annotated[str | None, Parameter(header="Last-Event-ID", max_length=40)]


@get(
    "/api/events/stream",
    opt=policy(require(Permission.EVENTS_READ)),
    media_type="text/event-stream",
    summary="The live feed: what happens to everything that you may see",
)
async def stream(
    request: Request[Any, Any, Any],
    actor: Actor,
    database: Database,
    feeds: Feeds,
    last_event_id: LastEventId = None,
    cursor: Cursor = None,
) -> FeedResponse:
    async with database.transaction() as tx:
        patterns = await subscriptions.patterns_of(tx, str(actor.owner))
    return feeds.live_feed(
        actor, credential_of(request), cursor=last_event_id or cursor, patterns=patterns
    )


@post(
    "/api/events/subscribe",
    opt=policy(require(Permission.EVENTS_READ)),
    status_code=200,
    summary="Add a type of event to your live feeds, or to one of them",
)
async def subscribe(actor: Actor, database: Database, bus: Bus, data: Subscribe) -> Subscribed:
    async with database.transaction() as tx:
        types = await subscriptions.subscribe(
            tx,
            bus,
            caller=str(actor.owner),
            event_type=data.eventType,
            feed_id=data.feedId,
        )
    return Subscribed(subscribed=True, event_types=sorted(types))


routes: list[BaseRouteHandler] = [stream, subscribe]
