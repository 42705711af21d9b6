"""Real control planes on a real database and bus, and whatever a test asks of them."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import httpx
import msgspec
from orchestra.features.agents import key_check
from orchestra.features.events import History, Outbox, task_topic
from orchestra.features.identity import Identity, mint_key
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
from orchestra.foundation.web import create_app
from orchestra.processes import control_plane
from orchestra.processes.control_plane import ControlPlane
from orchestra_sdk import Agent

WAIT_SECONDS = 10.0
PREFIX = "type.googleapis.com/ai_orchestra.v2."


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
        self.guard.spawn("time", forever("time", jobs.keep_time(*parts)))
        self.guard.spawn("permits", forever("permits", jobs.renew_permits(*parts)))
        delivery = FinishDelivery(
            self.database, callbacks, follow=jobs.follow_ends(outbox, self.bus)
        )
        await delivery.listen(self.bus)
        self.guard.spawn("deliver", forever("deliver", delivery.step))

    def door(self, routes: Sequence[Any], **more: Any) -> Callable[..., httpx.AsyncClient]:
        """Makes clients of an api with these routes: for this machine's key, or the one given.

        `more` are further dependencies of the routes, or others than the usual ones.
        """
        known = key_check(self.database)
        usual = {name: getattr(self, name) for name in ("database", "bus", "settings", "submitter")}
        app = create_app(
            routes,
            settings=more.get("settings", self.settings),
            authenticator=Identity(self.database, self.settings, check_agent_key=known),
            dependencies={**usual, **more},
        )

        def client(key: str = self.key) -> httpx.AsyncClient:
            return httpx.AsyncClient(
                transport=httpx.ASGITransport(app=cast("Any", app)),
                base_url="http://localhost",
                headers={"authorization": f"Bearer {key}"},
            )

        return client

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
                found.extend(
                    (event["cursor"], event["type"], event["data"])
                    for event in msgspec.json.decode(stored.payload)["events"]
                )
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
    async def sdk(self, agent: Agent, address: str) -> AsyncGenerator[Agent, None]:
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
