"""Turns: somebody says something, and a task writes the answer.

A turn begins in one transaction: the message, the answer's place, the task. The same idempotency
key again begins nothing and gives the same turn. One answer is written at a time in a conversation.
"""

import uuid
from dataclasses import dataclass, replace

from orchestra.features import tasks
from orchestra.features.chat import events, repository
from orchestra.features.chat.errors import (
    KeyReused,
    MessageNotFound,
    MessageTooLong,
    NotThisMessage,
    TurnInProgress,
)
from orchestra.features.chat.service import answers, conversations, history
from orchestra.features.chat.types import (
    CAPABILITY,
    Conversation,
    Message,
    MessageId,
    MessageState,
    Role,
    Turn,
)
from orchestra.features.events import Outbox
from orchestra.features.tasks import NewTask, Submitter
from orchestra.foundation import clock, ids
from orchestra.foundation.auth import Actor
from orchestra.foundation.database import Transaction, without_nul
from orchestra.foundation.errors import FieldError, InvalidInput
from orchestra.foundation.messaging import Bus

MAX_CONTENT_BYTES = 32 * 1024
MAX_KEY = 200


@dataclass(frozen=True, slots=True)
class Wish:
    """Whose turn it is, where, and under which idempotency key; `model` is what answers."""

    actor: Actor
    conversation_id: uuid.UUID
    model: str
    key: str | None = None


class Turns:
    """Begins and stops turns; one for each process."""

    def __init__(self, submitter: Submitter, outbox: Outbox, bus: Bus) -> None:
        self._submitter = submitter
        self._outbox = outbox
        self._bus = bus

    async def say(self, tx: Transaction, wish: Wish, content: str) -> Turn:
        """Adds a message and begins its answer."""
        content = checked(content)
        conversation = await self._lock(tx, wish)
        if (repeated := await self._repeated(tx, wish)) is not None:
            return _same(repeated, content)
        await self._refuse_while_writing(tx, conversation)
        said = _new(conversation, Role.USER, MessageState.COMPLETE, content)
        said = await repository.insert_message(tx, said)
        title = None if conversation.title else conversations.title_from(content)
        return await self._answer(tx, wish, conversation, said, title=title)

    async def edit(self, tx: Transaction, wish: Wish, message_id: uuid.UUID, content: str) -> Turn:
        """Says it differently: what came after is taken away, and a new answer begins."""
        content = checked(content)
        conversation = await self._lock(tx, wish)
        if (repeated := await self._repeated(tx, wish)) is not None:
            return _same(repeated, content)
        said = await self._message(tx, conversation, message_id)
        if said.role is not Role.USER:
            raise NotThisMessage("Only your own messages can be edited.")
        await self._refuse_while_writing(tx, conversation)
        now = clock.now()
        await repository.supersede(tx, conversation.id, from_place=said.place + 1, now=now)
        said = await repository.edit(tx, said.id, content, now=now)
        return await self._answer(tx, wish, conversation, said)

    async def regenerate(self, tx: Transaction, wish: Wish, message_id: uuid.UUID) -> Turn:
        """Begins another answer in the place of this one and of what came after."""
        conversation = await self._lock(tx, wish)
        if (repeated := await self._repeated(tx, wish)) is not None:
            return repeated
        answer = await self._message(tx, conversation, message_id)
        if answer.role is not Role.ASSISTANT or answer.reply_to is None:
            raise NotThisMessage("Only answers can be generated again.")
        said = await self._message(tx, conversation, answer.reply_to)
        await self._refuse_while_writing(tx, conversation)
        await repository.supersede(tx, conversation.id, from_place=answer.place, now=clock.now())
        return await self._answer(tx, wish, conversation, said)

    async def stop(
        self, tx: Transaction, actor: Actor, conversation_id: uuid.UUID, message_id: uuid.UUID
    ) -> Message:
        """Asks the task to stop; what is written so far stays. Again, it changes nothing."""
        conversation = await conversations.get(tx, actor, conversation_id)
        message = await self._message(tx, conversation, message_id)
        if message.state is MessageState.STREAMING and message.task_id is not None:
            reason = "Somebody stopped the answer."
            await tasks.cancel(tx, self._outbox, self._bus, actor, message.task_id, reason)
        return (await answers.with_tasks(tx, [message]))[0]

    async def _lock(self, tx: Transaction, wish: Wish) -> Conversation:
        return await conversations.get(tx, wish.actor, wish.conversation_id, lock=True)

    async def _repeated(self, tx: Transaction, wish: Wish) -> Turn | None:
        if wish.key is None:
            return None
        answer = await repository.message_by_key(tx, wish.conversation_id, wish.key)
        if answer is None or answer.reply_to is None:
            return None
        said = await repository.message_by_id(tx, answer.reply_to)
        if said is None:
            return None
        return Turn(said, (await answers.with_tasks(tx, [answer]))[0])

    async def _message(
        self, tx: Transaction, conversation: Conversation, message_id: uuid.UUID
    ) -> Message:
        message = await repository.message(tx, conversation.id, message_id)
        if message is None:
            raise MessageNotFound
        return message

    async def _refuse_while_writing(self, tx: Transaction, conversation: Conversation) -> None:
        """Raises TurnInProgress, unless the task is over and only nobody wrote it down yet."""
        writing = await repository.streaming(tx, conversation.id)
        ids_of_tasks = [item.task_id for item in writing if item.task_id is not None]
        if not ids_of_tasks:
            return
        if await answers.settle_tasks(tx, self._outbox, ids_of_tasks) < len(ids_of_tasks):
            raise TurnInProgress

    async def _answer(
        self,
        tx: Transaction,
        wish: Wish,
        conversation: Conversation,
        said: Message,
        *,
        title: str | None = None,
    ) -> Turn:
        new = NewTask(
            capability=CAPABILITY,
            input={
                "conversation_id": str(conversation.id),
                "model": wish.model,
                "messages": await history.for_model(tx, conversation.id),
            },
            affinity_key=str(conversation.id),
        )
        task = await self._submitter.submit(wish.actor, new, tx=tx)
        answer = _new(conversation, Role.ASSISTANT, MessageState.STREAMING, "")
        answer = await repository.insert_message(
            tx,
            _answering(answer, said, task.id, wish.model),
            key=wish.key,
        )
        await repository.update_conversation(tx, conversation.id, now=clock.now(), title=title)
        await self._outbox.add(tx, events.updated(conversation.user_id, conversation.id))
        return Turn(said, answer)


def checked(content: str) -> str:
    """Text that can be a message; raises InvalidInput or MessageTooLong."""
    content = without_nul(content).strip()
    if not content:
        raise InvalidInput("The message is empty.", fields=[FieldError("content", "is empty")])
    if len(content.encode(errors="surrogatepass")) > MAX_CONTENT_BYTES:
        raise MessageTooLong(fields=[FieldError("content", "is longer than 32 KiB")])
    return content


def _same(repeated: Turn, content: str) -> Turn:
    if repeated.user_message.content != content:
        raise KeyReused
    return repeated


def _new(conversation: Conversation, role: Role, state: MessageState, content: str) -> Message:
    return Message(
        id=MessageId(ids.new_id()),
        conversation_id=conversation.id,
        role=role,
        content=content,
        task_id=None,
        model=None,
        state=state,
        error=None,
        usage=None,
        reply_to=None,
        place=0,
        created_at=clock.now(),
        edited_at=None,
    )


def _answering(answer: Message, said: Message, task_id: uuid.UUID, model: str) -> Message:
    return replace(answer, reply_to=said.id, task_id=task_id, model=model)
