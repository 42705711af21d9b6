"""Chat over REST: conversations, messages, and what can be done with an answer."""

import uuid
from datetime import datetime
from typing import Annotated

from litestar import delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody
from litestar.types import ControllerRouterHandler
from msgspec import UNSET

from orchestra.features.chat.schemas import (
    AnswerView,
    Content,
    ConversationPatch,
    ConversationView,
    MessageView,
    NewConversation,
    TurnView,
    conversation_view,
    message_view,
    turn_view,
)
from orchestra.features.chat.service import conversations, messages, models
from orchestra.features.chat.service.turns import Turns, Wish
from orchestra.features.events import Outbox
from orchestra.features.providers import Providers
from orchestra.foundation.auth import Actor, Permission, require
from orchestra.foundation.database import Database
from orchestra.foundation.errors import FieldError, InvalidInput
from orchestra.foundation.messaging import Bus
from orchestra.foundation.web import Page, decode_cursor, encode_cursor, page_limit, policy

ActorArg = NamedDependency[Actor]
BusArg = NamedDependency[Bus]
DatabaseArg = NamedDependency[Database]
OutboxArg = NamedDependency[Outbox]
ProvidersArg = NamedDependency[Providers]
TurnsArg = NamedDependency[Turns]
IdempotencyKey = Annotated[
    str | None, HeaderParameter(name="Idempotency-Key", min_length=1, max_length=200)
]
Id = FromPath[uuid.UUID]

CHAT = policy(require(Permission.CHAT_USE))
ROOT = "/api/conversations"
ONE = f"{ROOT}/{{conversation_id:uuid}}"
MESSAGES = f"{ONE}/messages"
MESSAGE = f"{MESSAGES}/{{message_id:uuid}}"


@get(ROOT, opt=CHAT, tags=["chat"])
async def list_conversations(
    actor: ActorArg,
    database: DatabaseArg,
    search: FromQuery[str | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
) -> Page[ConversationView]:
    """Your conversations, the last changed first; `search` is text that the title contains."""
    if search is not None and len(search) > 200:
        raise InvalidInput("The search is too long.", fields=[FieldError("search", "too long")])
    size, before = page_limit(limit), _conversation_cursor(cursor)
    async with database.transaction() as tx:
        found = await conversations.find(tx, actor, search=search, before=before, limit=size)
    last = found[size - 1] if len(found) > size else None
    following = encode_cursor(last.updated_at.isoformat(), str(last.id)) if last else None
    return Page(items=[conversation_view(item) for item in found[:size]], next_cursor=following)


@post(ROOT, opt=CHAT, tags=["chat"])
async def create_conversation(
    actor: ActorArg,
    database: DatabaseArg,
    outbox: OutboxArg,
    providers: ProvidersArg,
    data: JSONBody[NewConversation],
) -> ConversationView:
    """A new, empty conversation; without `model` the default one answers."""
    model = await models.resolve(providers, data.model) if data.model else None
    async with database.transaction() as tx:
        made = await conversations.create(tx, outbox, actor, title=data.title or "", model=model)
    return conversation_view(made)


@get(ONE, opt=CHAT, tags=["chat"])
async def read_conversation(
    conversation_id: Id, actor: ActorArg, database: DatabaseArg
) -> ConversationView:
    async with database.transaction() as tx:
        return conversation_view(await conversations.get(tx, actor, conversation_id))


@patch(ONE, opt=CHAT, tags=["chat"])
async def change_conversation(
    conversation_id: Id,
    actor: ActorArg,
    database: DatabaseArg,
    outbox: OutboxArg,
    providers: ProvidersArg,
    data: JSONBody[ConversationPatch],
) -> ConversationView:
    """Another title, or another model for the answers to come."""
    title = None if data.title is UNSET else data.title
    model = None if data.model is UNSET else await models.resolve(providers, data.model)
    async with database.transaction() as tx:
        changed = await conversations.change(
            tx, outbox, actor, conversation_id, title=title, model=model
        )
    return conversation_view(changed)


@delete(ONE, opt=CHAT, tags=["chat"])
async def delete_conversation(
    conversation_id: Id, actor: ActorArg, database: DatabaseArg, outbox: OutboxArg, bus: BusArg
) -> None:
    """Takes the conversation away, and stops an answer that is being written."""
    async with database.transaction() as tx:
        await conversations.delete(tx, outbox, bus, actor, conversation_id)


@get(MESSAGES, opt=CHAT, tags=["chat"])
async def list_messages(
    conversation_id: Id,
    actor: ActorArg,
    database: DatabaseArg,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
) -> Page[MessageView]:
    """The newest messages, newest last; `next_cursor` leads to the ones before."""
    size = page_limit(limit)
    before: int | None = decode_cursor(cursor, int)[0] if cursor else None
    async with database.transaction() as tx:
        await conversations.get(tx, actor, conversation_id)
        found, has_more = await messages.page(tx, conversation_id, before=before, limit=size)
    following = encode_cursor(found[-1].place) if has_more else None
    return Page(items=[message_view(item) for item in reversed(found)], next_cursor=following)


@post(MESSAGES, opt=CHAT, status_code=202, tags=["chat"])
async def say(
    conversation_id: Id,
    actor: ActorArg,
    database: DatabaseArg,
    turns: TurnsArg,
    providers: ProvidersArg,
    data: JSONBody[Content],
    key: IdempotencyKey = None,
) -> TurnView:
    """Says something; the answer is written by a task, whose feed tells it word by word."""
    wish = await _wish(database, providers, actor, conversation_id, key)
    async with database.transaction() as tx:
        return turn_view(await turns.say(tx, wish, data.content))


@put(MESSAGE, opt=CHAT, status_code=202, tags=["chat"])
async def edit_message(
    conversation_id: Id,
    message_id: Id,
    actor: ActorArg,
    database: DatabaseArg,
    turns: TurnsArg,
    providers: ProvidersArg,
    data: JSONBody[Content],
    key: IdempotencyKey = None,
) -> TurnView:
    """Says it differently: what came after goes, and a new answer begins."""
    wish = await _wish(database, providers, actor, conversation_id, key)
    async with database.transaction() as tx:
        return turn_view(await turns.edit(tx, wish, message_id, data.content))


@post(f"{MESSAGE}/regenerate", opt=CHAT, status_code=202, tags=["chat"])
async def regenerate(
    conversation_id: Id,
    message_id: Id,
    actor: ActorArg,
    database: DatabaseArg,
    turns: TurnsArg,
    providers: ProvidersArg,
    key: IdempotencyKey = None,
) -> AnswerView:
    """Another answer in the place of this one."""
    wish = await _wish(database, providers, actor, conversation_id, key)
    async with database.transaction() as tx:
        turn = await turns.regenerate(tx, wish, message_id)
    return AnswerView(assistant_message=message_view(turn.assistant_message))


@post(f"{MESSAGE}/stop", opt=CHAT, status_code=202, tags=["chat"])
async def stop(
    conversation_id: Id, message_id: Id, actor: ActorArg, database: DatabaseArg, turns: TurnsArg
) -> AnswerView:
    """Stops an answer; what is written of it stays."""
    async with database.transaction() as tx:
        message = await turns.stop(tx, actor, conversation_id, message_id)
    return AnswerView(assistant_message=message_view(message))


async def _wish(
    database: Database,
    providers: Providers,
    actor: Actor,
    conversation_id: uuid.UUID,
    key: str | None,
) -> Wish:
    """Finds out which model answers before the turn's transaction begins."""
    async with database.transaction() as tx:
        conversation = await conversations.get(tx, actor, conversation_id)
    model = await models.resolve(providers, conversation.model)
    return Wish(actor, conversation_id, model, key)


def _conversation_cursor(cursor: str | None) -> tuple[datetime, uuid.UUID] | None:
    if not cursor:
        return None
    at, conversation_id = decode_cursor(cursor, datetime, uuid.UUID)
    return at, conversation_id


routes: list[ControllerRouterHandler] = [
    list_conversations,
    create_conversation,
    read_conversation,
    change_conversation,
    delete_conversation,
    list_messages,
    say,
    edit_message,
    regenerate,
    stop,
]
