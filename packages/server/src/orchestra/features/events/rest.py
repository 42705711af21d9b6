"""The live feed, and subscriptions to it."""

from typing import Annotated, Any

from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, HeaderParameter, JSONBody
from litestar.types import ControllerRouterHandler

from orchestra.features.events.schemas import Subscribe, Subscribed
from orchestra.features.events.service import subscriptions
from orchestra.features.events.service.feed import FeedResponse
from orchestra.features.events.service.feeds import Feeds
from orchestra.foundation.auth import Actor, Permission, require
from orchestra.foundation.database import Database
from orchestra.foundation.messaging import Bus
from orchestra.foundation.web import credential_of, policy

AnyRequest = Request[Any, Any, Any]
ActorArg = NamedDependency[Actor]
DatabaseArg = NamedDependency[Database]
LastEventId = Annotated[str | None, HeaderParameter(name="Last-Event-ID", max_length=60)]


@get(
    "/api/events/stream",
    opt=policy(require(Permission.EVENTS_READ)),
    media_type="text/event-stream",
    tags=["events"],
)
async def stream(
    request: AnyRequest,
    actor: ActorArg,
    database: DatabaseArg,
    feeds: NamedDependency[Feeds],
    last_event_id: LastEventId = None,
    cursor: FromQuery[str | None] = None,
) -> FeedResponse:
    """The live feed: what happens to everything that you may see, as server-sent events."""
    async with database.transaction() as tx:
        patterns = await subscriptions.patterns_of(tx, str(actor.owner))
    return feeds.live_feed(
        actor, credential_of(request), cursor=last_event_id or cursor, patterns=patterns
    )


@post(
    "/api/events/subscribe",
    opt=policy(require(Permission.EVENTS_READ)),
    status_code=200,
    tags=["events"],
)
async def subscribe(
    actor: ActorArg, database: DatabaseArg, bus: NamedDependency[Bus], data: JSONBody[Subscribe]
) -> Subscribed:
    """Adds a type of event to one open live feed or, without `feedId`, to all of yours."""
    async with database.transaction() as tx:
        types = await subscriptions.subscribe(
            tx,
            bus,
            caller=str(actor.owner),
            event_type=data.eventType,
            feed_id=data.feedId,
        )
    return Subscribed(subscribed=True, event_types=sorted(types))


routes: list[ControllerRouterHandler] = [stream, subscribe]
