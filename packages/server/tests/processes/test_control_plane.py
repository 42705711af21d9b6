"""The control plane as a process: it listens, is killed, and stops in good order."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc.aio
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from orchestra.engines.process import free_port
from orchestra.features.events import History, task_topic
from orchestra.features.identity import Identity, ensure_local_key
from orchestra.features.tasks import NewTask, Submitter, Task, visible_task
from orchestra.foundation import clock
from orchestra.foundation.auth import Actor, Credential
from orchestra.foundation.concurrency import Guard
from orchestra.foundation.database import Database
from orchestra.foundation.messaging import Bus
from orchestra.foundation.settings import Settings
from orchestra_sdk import Agent

pytestmark = pytest.mark.anyio

START_SECONDS = 40.0


@pytest.fixture
def settings(tmp_path: Path, database_url: str, nats_url: str) -> Settings:
    return Settings(
        data_dir=tmp_path,
        database_url=database_url,
        nats_url=nats_url,
        control_plane_listen=f"127.0.0.1:{free_port()}",
        control_plane_probe_listen=f"127.0.0.1:{free_port()}",
    )


class Process:
    """`control-plane`, started as the supervisor does."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.it: asyncio.subprocess.Process

    async def start(self) -> None:
        given = {
            "ORCHESTRA_DATA_DIR": str(self.settings.data_dir),
            "ORCHESTRA_DATABASE_URL": self.settings.database_url,
            "ORCHESTRA_NATS_URL": self.settings.nats_url,
            "ORCHESTRA_CONTROL_PLANE_LISTEN": self.settings.control_plane_listen,
            "ORCHESTRA_CONTROL_PLANE_PROBE_LISTEN": self.settings.control_plane_probe_listen,
        }
        self.it = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "orchestra.processes",
            "control-plane",
            env={**os.environ, **given},
            stderr=asyncio.subprocess.DEVNULL,
        )
        async with grpc.aio.insecure_channel(self.settings.control_plane_listen) as channel:
            health: Any = health_pb2_grpc.HealthStub(channel)
            answer = await health.Check(
                health_pb2.HealthCheckRequest(), wait_for_ready=True, timeout=START_SECONDS
            )
        assert answer.status == health_pb2.HealthCheckResponse.SERVING

    async def end(self, number: signal.Signals) -> int:
        if self.it.returncode is None:
            self.it.send_signal(number)
        return await asyncio.wait_for(self.it.wait(), 15)


@pytest.fixture
async def process(settings: Settings, anyio_backend: str) -> Any:
    started = Process(settings)
    await started.start()
    yield started
    await started.end(signal.SIGKILL)


class Instance:
    def __init__(self, database: Database, bus: Bus, actor: Actor, key: str) -> None:
        self.database, self.bus, self.actor, self.key = database, bus, actor, key

    async def task(self, task: Task) -> Task:
        async with self.database.transaction() as tx:
            return await visible_task(tx, self.actor, task.id)

    async def windows(self, task: Task) -> int:
        history = History(self.bus)
        page = await history.page(task_topic(task.id), sequence=1)
        await history.close()
        return len(page.messages)


@pytest.fixture
async def instance(settings: Settings, process: Process) -> Any:
    database = await Database.connect(settings.database_url, pool_size=4)
    bus = await Bus.connect(settings, name="test")
    key = (await ensure_local_key(database, settings)).read_text().strip()
    actor = await Identity(database, settings).authenticate(Credential(bearer=key))
    yield Instance(database, bus, actor, key)
    await bus.close()
    await database.close()


@pytest.fixture
def typist() -> Iterator[Agent]:
    agent = Agent("typist", slots=4)

    @agent.task("type")
    async def type_out(ctx: Any, words: list[str]) -> str:
        for word in words:
            await ctx.emit(word)
            await asyncio.sleep(0.02)
        return "".join(words)

    yield agent
    agent.stop()


async def until(condition: Callable[[], Any], seconds: float = 15) -> None:
    limit = clock.monotonic() + seconds
    while not await condition():
        assert clock.monotonic() < limit, "it did not happen in time"
        await asyncio.sleep(0.05)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_run_goes_on_when_its_control_plane_is_replaced(
    process: Process,
    instance: Instance,
    settings: Settings,
    typist: Agent,
    number: signal.Signals,
) -> None:
    words = [f"{place} " for place in range(150)]
    submitter = Submitter(instance.database, instance.bus, settings)
    async with Guard() as guard:
        url = f"http://{settings.control_plane_listen}"
        serving = guard.spawn("typist", typist.serve(url=url, key=instance.key))
        new = NewTask(input=words, capability="type")
        task = await submitter.submit(instance.actor, new)

        async def has_typed() -> bool:
            return await instance.windows(task) > 10

        await until(has_typed)
        code = await process.end(number)
        assert code == (0 if number is signal.SIGTERM else -signal.SIGKILL)
        await process.start()

        async def is_over() -> bool:
            return (await instance.task(task)).life.is_over

        await until(is_over)
        typist.stop()
        await asyncio.wait_for(serving, 10)
    done = await instance.task(task)
    assert (done.state, done.result, done.attempt) == ("succeeded", "".join(words), 1)
    await submitter.close()


@pytest.mark.timeout(120)
async def test_a_control_plane_answers_probes_and_shows_how_long_tasks_waited(
    process: Process, instance: Instance, settings: Settings, typist: Agent
) -> None:
    submitter = Submitter(instance.database, instance.bus, settings)
    base = f"http://{settings.control_plane_probe_listen}"
    async with Guard() as guard, httpx.AsyncClient(base_url=base, timeout=10) as client:
        url = f"http://{settings.control_plane_listen}"
        serving = guard.spawn("typist", typist.serve(url=url, key=instance.key))
        said = (await client.get("/health")).json()
        assert (said["status"], said["agents"]) in (("ok", 0), ("ok", 1))
        ready = await client.get("/ready")
        assert (ready.status_code, ready.json()["ready"]) == (200, True)
        await submitter.submit(instance.actor, NewTask(input=["a"], capability="type"))

        async def has_counted() -> bool:
            text = (await client.get("/metrics")).text
            return "ai_orchestra_dispatch_seconds_count 1.0" in text

        await until(has_counted)
        text = (await client.get("/metrics")).text
        plane = said["control_plane"]
        assert f'ai_orchestra_control_plane_agents{{control_plane="{plane}"}} 1.0' in text
        async with instance.database.transaction() as tx:
            at = await tx.fetch_value("SELECT control_plane_id FROM agents")
        assert at == plane, "agents are shown with the same id"
        typist.stop()
        await asyncio.wait_for(serving, 10)
    await submitter.close()
