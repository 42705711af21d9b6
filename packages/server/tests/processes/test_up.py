"""`orchestra up` with everything real: it starts, survives the death of any part, and stops."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from orchestra.engines.process import free_port
from orchestra.engines.testing import RunningNats, wait_until
from orchestra.foundation.settings import load
from orchestra.processes import record
from orchestra.processes.record import ProcessId

COMMAND = (sys.executable, "-m", "orchestra.processes")
START_SECONDS = 90.0
RESTART_SECONDS = 30.0
ENGINES = ("postgres", "nats")
PROGRAMS = (*ENGINES, "control-plane", "api", "gateway", "worker")

pytestmark = [pytest.mark.timeout(180), pytest.mark.xdist_group("up")]


@dataclass(frozen=True)
class Instance:
    """A data directory with its two ports, running or not."""

    data_dir: Path
    http_port: int
    https_port: int
    settings: dict[str, str]

    @property
    def url(self) -> str:
        return f"http://localhost:{self.http_port}"

    def run(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        clean = {key: text for key, text in os.environ.items() if "ORCHESTRA" not in key}
        return subprocess.run(
            [*COMMAND, name, "--data-dir", str(self.data_dir), *arguments],
            env={**clean, **self.settings},
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=False,
        )

    def up(self) -> dict[str, Any]:
        ports = ("--http-port", str(self.http_port), "--https-port", str(self.https_port))
        result = self.run("up", "--detach", "--json", *ports)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    def record(self) -> record.Record:
        return record.read(load({"data_dir": self.data_dir}, {}))

    def process(self, name: str) -> ProcessId:
        return next(item.process for item in self.record().processes if item.name == name)

    def state(self, name: str) -> str:
        return next(item.state for item in self.record().processes if item.name == name)

    def processes(self) -> list[ProcessId]:
        known = self.record()
        return [known.supervisor, *(item.process for item in known.processes)]

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/ready", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False


@contextmanager
def instance_in(directory: Path, **settings: str) -> Generator[Instance]:
    variables = {f"ORCHESTRA_{name.upper()}": text for name, text in settings.items()}
    instance = Instance(directory / "data", free_port(), free_port(), variables)
    try:
        yield instance
    finally:
        instance.run("down")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Generator[Instance]:
    with instance_in(tmp_path_factory.mktemp("up"), local_model="false") as instance:
        instance.up()
        assert wait_until(lambda: instance.state("worker") == "ready", seconds=RESTART_SECONDS)
        yield instance


def test_it_answers_at_its_address_once_it_says_that_it_is_ready(running: Instance) -> None:
    assert httpx.get(f"{running.url}/ready").status_code == 200


def test_only_the_owner_can_read_what_it_wrote(running: Instance) -> None:
    for name in ("runtime.json", "keys/local.key", "nats/nats.conf", "certs/server.key"):
        assert (running.data_dir / name).stat().st_mode & 0o077 == 0, name


def test_status_shows_every_program(running: Instance) -> None:
    answer = json.loads(running.run("status", "--json").stdout)
    programs = {row["name"]: row for row in answer["processes"]}
    assert answer["state"] == "ready"
    for name in ("supervisor", *PROGRAMS):
        assert programs[name]["state"] == "ready", programs[name]
        assert programs[name]["memory_bytes"] > 0
    assert "gateway" in running.run("status").stdout


def test_status_names_the_control_plane_as_agents_name_it(running: Instance) -> None:
    key = (running.data_dir / "keys/local.key").read_text().strip()
    headers = {"authorization": f"Bearer {key}"}

    def at() -> set[str]:
        items = httpx.get(f"{running.url}/api/agents", headers=headers).json()["items"]
        return {agent["control_plane"] for agent in items if agent["status"] != "offline"}

    assert wait_until(lambda: len(at() - {None}) == 1, seconds=30), "the assistant has come"
    processes = json.loads(running.run("status", "--json").stdout)["processes"]
    (plane,) = [row for row in processes if row["name"] == "control-plane"]
    assert ({plane["control_plane"]}, plane["agents"]) == (at(), 1)
    assert plane["control_plane"] in running.run("status").stdout


def test_a_second_up_on_the_same_directory_is_refused(running: Instance) -> None:
    ports = ("--http-port", str(free_port()), "--https-port", str(free_port()))
    result = running.run("up", *ports)
    assert result.returncode == 1
    assert "already runs on" in result.stderr


def test_migrate_finds_the_database_of_the_running_instance(running: Instance) -> None:
    assert "already was at" in running.run("migrate").stderr


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_part_that_is_killed_comes_back(running: Instance, name: str) -> None:
    former = running.process(name)
    os.killpg(former.pid, signal.SIGKILL)

    def is_back() -> bool:
        item = next(item for item in running.record().processes if item.name == name)
        return item.process != former and item.state == "ready"

    assert wait_until(is_back, seconds=RESTART_SECONDS), running.run("status").stdout
    assert wait_until(running.is_ready, seconds=RESTART_SECONDS)


def test_two_instances_run_side_by_side(running: Instance, tmp_path: Path) -> None:
    with instance_in(tmp_path, local_model="false") as other:
        other.up()
        assert other.is_ready()
        assert running.is_ready()
        assert not set(running.processes()) & set(other.processes())


def test_down_stops_everything_and_a_second_start_finds_what_was_kept(running: Instance) -> None:
    former, before = running.processes(), running.record()
    result = running.run("down")
    assert (result.returncode, result.stdout) == (0, "")
    assert not any(process.is_alive for process in former)
    assert running.run("status").returncode == 5
    running.up()
    assert running.record().ports == before.ports
    assert running.is_ready()


def test_a_supervisor_that_is_killed_leaves_no_orphan_and_can_be_started_again(
    running: Instance,
) -> None:
    former = running.processes()
    os.kill(running.record().supervisor.pid, signal.SIGKILL)
    assert wait_until(lambda: not any(process.is_alive for process in former), seconds=20), former
    running.up()
    assert running.is_ready()


def test_engines_that_run_elsewhere_are_not_started(
    tmp_path: Path, database_url: str, nats: RunningNats
) -> None:
    outside = {"database_url": database_url, "nats_url": nats.url, "local_model": "false"}
    with instance_in(tmp_path, **outside) as instance:
        instance.up()
        assert not {item.name for item in instance.record().processes} & {*ENGINES, "model"}
        assert not (instance.data_dir / "postgres").exists()


def test_a_signal_in_the_foreground_is_a_clean_end(tmp_path: Path) -> None:
    with instance_in(tmp_path, local_model="false") as instance:
        ports = ("--http-port", str(instance.http_port), "--https-port", str(instance.https_port))
        arguments = ("up", "--json", "--data-dir", str(instance.data_dir), *ports)
        with subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, text=True) as up:
            assert up.stdout is not None
            answer = json.loads(up.stdout.readline())
            assert answer["setup_url"].startswith(f"{instance.url}/setup#token=")
            former = instance.processes()
            up.send_signal(signal.SIGINT)
            assert up.wait(60) == 0
        assert not any(process.is_alive for process in former)
