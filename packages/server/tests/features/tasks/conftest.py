"""Real control planes on a real database and bus, agents of the SDK, and agents of bare protobuf."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc.aio
import msgspec
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message as WireMessage
from google.protobuf.struct_pb2 import Value
from orchestra.features.events import History, Outbox, task_topic
from orchestra.features.identity import Identity, ensure_local_key, mint_key
from orchestra.features.tasks import (
    FinishDelivery,
    NewTask,
    OnTaskFinished,
    Submitter,
    Task,
    jobs,
    snapshots,
)
from orchestra.features.tasks.repository import reading
from orchestra.foundation import clock, ids
from orchestra.foundation.auth import ROLE_PERMISSIONS, Actor, Credential, Role
from orchestra.foundation.concurrency import Guard, forever
from orchestra.foundation.database import Database
from orchestra.foundation.messaging import Bus
from orchestra.foundation.settings import Settings
from orchestra.processes import control_plane
from orchestra.processes.control_plane import ControlPlane
from orchestra_protocol import agent_pb2 as pb
from orchestra_protocol.agent_pb2_grpc import ModernAgentServiceStub
from orchestra_sdk import Agent

WAIT_SECONDS = 10.0
PREFIX = "type.googleapis.com/ai_orchestra.v2."


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def database(database_url: str, anyio_backend: str) -> AsyncIterator[Database]:
    database = await Database.connect(database_url, pool_size=6)
    yield database
    await database.close()


@pytest.fixture
def settings(tmp_path: Path, database_url: str, nats_url: str) -> Settings:
    return Settings(
        data_dir=tmp_path,
        database_url=database_url,
        nats_url=nats_url,
        nats_reconnect_seconds=0.1,
        control_plane_listen="127.0.0.1:0",
        heartbeat_seconds=0.5,
        drain_seconds=1.0,
    )


async def eventually(condition: Callable[[], Awaitable[Any]], seconds: float = WAIT_SECONDS) -> Any:
    """What `condition` returns once it is true; fails when it does not become so in time."""
    limit = clock.monotonic() + seconds
    while not (found := await condition()):
        assert clock.monotonic() < limit, "it did not happen in time"
        await asyncio.sleep(0.02)
    return found


class World:
    """An instance without doors: engines, this machine's key, and whatever a test starts in it."""

    def __init__(self, database: Database, settings: Settings, bus: Bus, key: str) -> None:
        self.database, self.settings, self.bus, self.key = database, settings, bus, key
        self.submitter = Submitter(database, bus, settings)
        self.guard = Guard()
        self.stack = AsyncExitStack()
        self.actor: Actor

    async def plane(self, **changes: Any) -> "RunningPlane":
        """Starts a control plane with connections of its own."""
        settings = self.settings.with_values("test", **changes)
        database = await Database.connect(settings.database_url, pool_size=6)
        bus = await Bus.connect(settings, name="test-plane")
        started = control_plane.compose(settings, database, bus)
        address = await started.start()
        running = RunningPlane(started, address, database, bus)
        self.stack.push_async_callback(running.stop)
        return running

    async def worker(self, *callbacks: OnTaskFinished, **changes: Any) -> None:
        """Starts the jobs that a worker process runs for tasks."""
        settings = self.settings.with_values("test", **changes)
        outbox = Outbox(self.bus, self.database)
        self.stack.push_async_callback(outbox.close)
        parts = (self.database, outbox, self.bus, settings)
        self.guard.spawn("reconcile", forever("reconcile", jobs.reconcile(*parts)))
        self.guard.spawn("permits", forever("permits", jobs.renew_permits(*parts)))
        delivery = FinishDelivery(self.database, callbacks)
        await delivery.listen(self.bus)
        self.guard.spawn("deliver", forever("deliver", delivery.step))

    async def submit(self, capability: str, input: Any = None, **more: Any) -> Task:
        new = NewTask(input=input, capability=capability, **more)
        return await self.submitter.submit(self.actor, new)

    async def task(self, task_id: uuid.UUID) -> Task:
        async with self.database.transaction() as tx:
            task = await reading.get(tx, task_id)
        assert task is not None
        return task

    async def state(self, task_id: uuid.UUID, *states: str, seconds: float = WAIT_SECONDS) -> Task:
        """The task as soon as it is in one of the states."""

        async def look() -> Task | None:
            task = await self.task(task_id)
            return task if task.state in states else None

        return await eventually(look, seconds)

    async def text(self, task_id: uuid.UUID) -> tuple[str, str]:
        """The text so far as the database has it, and its cursor."""
        async with self.database.transaction() as tx:
            (snapshot,) = await snapshots(tx, [task_id])
        return snapshot.text, snapshot.cursor

    async def events(self, task_id: uuid.UUID) -> list[tuple[str | None, str, Any]]:
        """What JetStream has of a task's feed: cursor, type, data."""
        history = History(self.bus)
        found: list[tuple[str | None, str, Any]] = []
        place, is_last = 1, False
        while not is_last:
            page = await history.page(task_topic(task_id), sequence=place)
            place, is_last = page.next_sequence, page.is_last
            for stored in page.messages:
                for event in msgspec.json.decode(stored.payload)["events"]:
                    found.append((event["cursor"], event["type"], event["data"]))
        await history.close()
        return found

    async def settled_events(self, task_id: uuid.UUID) -> list[tuple[str | None, str, Any]]:
        """The same, once the end is among them."""

        async def look() -> list[tuple[str | None, str, Any]]:
            found = await self.events(task_id)
            return found if found and found[-1][1] == "task.finished" else []

        return await eventually(look)

    async def eventually(
        self, condition: Callable[[], Awaitable[Any]], seconds: float = WAIT_SECONDS
    ) -> Any:
        return await eventually(condition, seconds)

    async def member(self, name: str) -> "Member":
        """A person who is no administrator, with an API key for everything that members may."""
        minted, user_id = mint_key("aoc"), ids.new_id()
        async with self.database.transaction() as tx:
            await tx.execute(
                """
                INSERT INTO users_v2 (id, username, role, created_at, updated_at)
                VALUES ($1, $2, 'member', now(), now())
                """,
                user_id,
                name,
            )
            await tx.execute(
                """
                INSERT INTO api_keys (id, user_id, name, secret_hash, scopes, created_at)
                VALUES ($1, $2, 'test', $3, $4, now())
                """,
                minted.id,
                user_id,
                minted.secret_hash,
                list(ROLE_PERMISSIONS[Role.MEMBER]),
            )
        identity = Identity(self.database, self.settings)
        return Member(minted.text, await identity.authenticate(Credential(bearer=minted.text)))

    @asynccontextmanager
    async def sdk(self, agent: Agent, address: str) -> AsyncIterator[Agent]:
        """Serves an agent of the SDK until the block ends."""
        serving = self.guard.spawn(agent.name, agent.serve(url=f"http://{address}", key=self.key))

        async def is_connected() -> bool:
            return agent.connected or serving.done()

        await eventually(is_connected)
        try:
            yield agent
        finally:
            agent.stop()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait_for(serving, 5)


@dataclass(frozen=True)
class Member:
    key: str
    actor: Actor


@dataclass
class RunningPlane:
    """A control plane that a test has started; `kill` is what kill -9 would leave behind."""

    it: ControlPlane
    address: str
    database: Database
    bus: Bus
    is_running: bool = True

    async def stop(self) -> None:
        if self.is_running:
            self.is_running = False
            await self.it.stop()
            await self._disconnect()

    async def kill(self) -> None:
        self.is_running = False
        await self.it.upkeep.close()
        await self.it.plane.dispatcher.close()
        await self.it.plane.keeper.close()
        await self.it.guard.stop()
        self.it.plane.is_stopping = True  # a dead process shortens no leases
        await self.it.server.stop(None)
        await self.it.tasks.close()
        await self.it.feeds.close(patience_seconds=0)
        await self.it.outbox.close()
        await self._disconnect()

    async def _disconnect(self) -> None:
        await self.bus.close()
        await self.database.close()


@dataclass
class WireAgent:
    """An agent as somebody would write it from the proto file alone."""

    address: str
    key: str
    name: str = "wire"
    capabilities: tuple[str, ...] = ("echo",)
    slots: int = 4
    instance_id: str = "instance-1"
    agent_id: str = ""
    inbox: asyncio.Queue[pb.TaskMessage] = field(default_factory=asyncio.Queue)
    outbox: asyncio.Queue[pb.TaskMessage | None] = field(default_factory=asyncio.Queue)
    error: grpc.aio.AioRpcError | None = None

    async def __aenter__(self) -> "WireAgent":
        self.channel = grpc.aio.insecure_channel(self.address)
        self.stub: Any = ModernAgentServiceStub(self.channel)
        self.metadata = (("authorization", f"Bearer {self.key}"),)
        registered = await self.stub.RegisterAgent(
            pb.RegisterAgentRequest(
                name=self.name,
                capabilities=self.capabilities,
                slots=self.slots,
                instance_id=self.instance_id,
            ),
            metadata=self.metadata,
        )
        self.agent_id = registered.agent_id
        self.guard = Guard()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.guard.stop()
        await self.channel.close()

    async def connect(self, *running: tuple[str, int], seconds: float = WAIT_SECONDS) -> pb.Welcome:
        """Opens the stream with Hello and waits for Welcome."""
        self.inbox, self.outbox, self.error = asyncio.Queue(), asyncio.Queue(), None
        self.call = self.stub.TaskBidirectionalStream(self._outgoing(), metadata=self.metadata)
        hello = pb.Hello(
            agent_id=self.agent_id,
            instance_id=self.instance_id,
            slots=self.slots,
            running=[pb.RunningTask(task_id=task, epoch=epoch) for task, epoch in running],
        )
        await self.send(pb.TASK_TYPE_HELLO, hello)
        self.reading = self.guard.spawn("wire-agent", self._read())
        self.beating = self.guard.spawn("wire-beat", self._beat())
        message = await self.next(pb.TASK_TYPE_WELCOME, seconds=seconds)
        welcome = pb.Welcome()
        message.payload.Unpack(welcome)
        return welcome

    async def disconnect(self) -> None:
        self.beating.cancel()
        self.call.cancel()
        await asyncio.wait({self.reading, self.beating})

    async def send(
        self, kind: pb.TaskType.ValueType, payload: WireMessage, *, task: str = "", epoch: int = 0
    ) -> None:
        content = AnyMessage(
            type_url=PREFIX + payload.DESCRIPTOR.name, value=payload.SerializeToString()
        )
        await self.outbox.put(
            pb.TaskMessage(
                task_id=task, agent_id="ignored", type=kind, payload=content, epoch=epoch
            )
        )

    async def say(self, task: pb.TaskMessage, *events: pb.AgentEvent) -> None:
        batch = pb.TaskEvents(events=events)
        await self.send(pb.TASK_TYPE_EVENTS, batch, task=task.task_id, epoch=task.epoch)

    async def next(self, *kinds: pb.TaskType.ValueType, seconds: float = WAIT_SECONDS) -> Any:
        """The next message of one of the kinds; others are dropped."""
        async with asyncio.timeout(seconds):
            while True:
                message = await self.inbox.get()
                if not kinds or message.type in kinds:
                    return message

    async def assigned(self, seconds: float = WAIT_SECONDS) -> pb.TaskMessage:
        return await self.next(pb.TASK_TYPE_ASSIGN, seconds=seconds)

    async def ended(self) -> grpc.aio.AioRpcError | None:
        """Waits for the end of the stream; how it ended."""
        await asyncio.wait({self.reading}, timeout=WAIT_SECONDS)
        assert self.reading.done(), "the stream has not ended"
        return self.error

    async def acked(self) -> pb.EventsAck:
        ack = pb.EventsAck()
        (await self.next(pb.TASK_TYPE_EVENTS_ACK)).payload.Unpack(ack)
        return ack

    @staticmethod
    def token(sequence: int, text: str) -> pb.AgentEvent:
        return pb.AgentEvent(sequence=sequence, token=pb.Token(text=text))

    @staticmethod
    def result(sequence: int, text: str = "done") -> pb.AgentEvent:
        return pb.AgentEvent(sequence=sequence, result=pb.Result(output=Value(string_value=text)))

    @staticmethod
    def failure(sequence: int, code: str, *, retryable: bool) -> pb.AgentEvent:
        said = pb.Failure(code=code, message="It broke.", retryable=retryable)
        return pb.AgentEvent(sequence=sequence, failure=said)

    async def _outgoing(self) -> AsyncIterator[pb.TaskMessage]:
        while (message := await self.outbox.get()) is not None:
            yield message

    async def _read(self) -> None:
        try:
            async for message in self.call:
                await self.inbox.put(message)
        except grpc.aio.AioRpcError as error:
            self.error = error
        except asyncio.CancelledError:
            if not self.call.cancelled():
                raise

    async def _beat(self) -> None:
        async def beats() -> AsyncIterator[pb.HeartbeatMessage]:
            number = 0
            while True:
                number += 1
                yield pb.HeartbeatMessage(agent_id=self.agent_id, sequence=number)
                await asyncio.sleep(0.2)

        with contextlib.suppress(grpc.aio.AioRpcError):
            async for _ in self.stub.StreamHeartbeat(beats(), metadata=self.metadata):
                pass


@pytest.fixture
def wire(world: World) -> Callable[..., WireAgent]:
    """Makes agents of bare protobuf with this machine's key."""

    def make(plane: RunningPlane, **more: Any) -> WireAgent:
        return WireAgent(plane.address, **{"key": world.key, **more})

    return make


@pytest.fixture
async def world(database: Database, settings: Settings, anyio_backend: str) -> AsyncIterator[World]:
    key = (await ensure_local_key(database, settings)).read_text().strip()
    bus = await Bus.connect(settings, name="test")
    world = World(database, settings, bus, key)
    world.actor = await Identity(database, settings).authenticate(Credential(bearer=key))
    async with world.stack:
        yield world
        await world.guard.stop()
    await world.submitter.close()
    await bus.close()
