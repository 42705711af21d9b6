"""The gRPC door of tasks: the long stream of an agent, and following a task to its end."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence

from google.protobuf.message import DecodeError
from orchestra_protocol import agent_pb2 as pb

from orchestra.features.events import Feeds
from orchestra.features.tasks import schemas
from orchestra.features.tasks.errors import BadMessage, TaskNotFound
from orchestra.features.tasks.service.reading import reading
from orchestra.features.tasks.service.streams.plane import Plane
from orchestra.features.tasks.service.streams.session import Session
from orchestra.features.tasks.service.submitting.addressing import addressed
from orchestra.features.tasks.service.submitting.submit import Submitter
from orchestra.features.tasks.types import Task
from orchestra.foundation.auth import Actor, Permission, Policy, require
from orchestra.foundation.concurrency import Guard
from orchestra.foundation.database import Database
from orchestra.foundation.errors import Forbidden, OrchestraError
from orchestra.foundation.rpc import Context, current_actor

SERVICE = "/ai_orchestra.v2.ModernAgentService/"
POLICIES: Mapping[str, Policy] = {
    SERVICE + "AssignTask": require(Permission.TASKS_READ),
    SERVICE + "TaskBidirectionalStream": require(Permission.AGENTS_CONNECT),
}
HELLO_SECONDS = 10.0
MAX_INSTANCE = 100


class TaskRpcs:
    """The rpcs that carry tasks."""

    def __init__(
        self, *, database: Database, plane: Plane, submitter: Submitter, feeds: Feeds
    ) -> None:
        self._database = database
        self._plane = plane
        self._submitter = submitter
        self._feeds = feeds
        self._guard = Guard()

    async def AssignTask(  # noqa: N802 - the wire's name
        self, request: pb.AssignTaskRequest, context: Context
    ) -> AsyncIterator[pb.TaskEvent]:
        actor = current_actor()
        task = await self._find_or_submit(actor, request)
        is_new = not request.task_id and not task.is_repeated
        yield schemas.first_event(task, moves_cursor=is_new)
        if request.detach:
            return
        cursor = f"{task.epoch}:0" if is_new else request.cursor
        async for item in self._feeds.follow_task(
            task.id, cursor=cursor or None, is_over=task.life.is_over
        ):
            yield schemas.feed_item_to_wire(task.id, item)

    async def TaskBidirectionalStream(  # noqa: N802 - the wire's name
        self, request: AsyncIterator[pb.TaskMessage], context: Context
    ) -> AsyncIterator[pb.TaskMessage]:
        hello = await _hello(request)
        session = await self._plane.attach(current_actor(), hello)
        reader = self._guard.spawn("read agent", self._read(session, request))
        try:
            async for message in session.messages():
                yield message
        finally:
            reader.cancel()
            self._guard.spawn("detach agent", self._plane.detach(session))

    async def close(self) -> None:
        await self._guard.stop()

    async def _read(self, session: Session, request: AsyncIterator[pb.TaskMessage]) -> None:
        try:
            async for message in request:
                for each in _messages_in(message):
                    await self._plane.receive(session, each)
        except OrchestraError as error:
            session.close(error)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - the stream ends with it, and logs it
            session.close(error)
        else:
            session.close()

    async def _find_or_submit(self, actor: Actor, request: pb.AssignTaskRequest) -> Task:
        if request.task_id:
            async with self._database.transaction() as tx:
                return await reading.visible(tx, actor, _task_id(request.task_id))
        if not actor.may(Permission.TASKS_WRITE):
            raise Forbidden(f"This needs the permission {Permission.TASKS_WRITE}.")
        wanted = schemas.new_task_from_wire(request)
        (new,) = await addressed(self._database, actor, [wanted])
        return await self._submitter.submit(actor, new)


async def _hello(request: AsyncIterator[pb.TaskMessage]) -> pb.Hello:
    hello = pb.Hello()
    try:
        async with asyncio.timeout(HELLO_SECONDS):
            first = await anext(request)
        if first.type != pb.TASK_TYPE_HELLO or not first.payload.Unpack(hello):
            raise BadMessage("The first message of a stream is Hello.")
    except (TimeoutError, StopAsyncIteration, DecodeError) as error:
        raise BadMessage("The first message of a stream is Hello.") from error
    if hello.slots < 0 or hello.backlog < 0:
        raise BadMessage("slots and backlog are not below zero.")
    if len(hello.instance_id) > MAX_INSTANCE:
        raise BadMessage(f"instance_id has at most {MAX_INSTANCE} characters.")
    return hello


def _messages_in(message: pb.TaskMessage) -> Sequence[pb.TaskMessage]:
    """What a batch holds, or the message itself."""
    if message.type != pb.TASK_TYPE_BATCH:
        return (message,)
    batch = pb.Batch()
    try:
        message.payload.Unpack(batch)
    except DecodeError as error:
        raise BadMessage from error
    return batch.messages


def _task_id(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError as error:
        raise TaskNotFound from error
