"""The whole product as a test drives it: started by `orchestra up`, reached by its own doors."""

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

ROOT = Path(__file__).resolve().parents[2]
BIN = ROOT / ".venv" / "bin"
ORCHESTRA = str(BIN / "orchestra")
START_SECONDS = 120.0
STOP_SECONDS = 60.0
POLL_SECONDS = 0.05


@dataclass(slots=True)
class Product:
    """One instance, from `start` to `stop`; `setup_url` is the one-time link of its first start."""

    data_dir: Path
    http_port: int
    https_port: int
    settings: dict[str, str] = field(default_factory=dict[str, str])
    setup_url: str | None = None
    _process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://localhost:{self.http_port}"

    @property
    def key(self) -> str:
        return (self.data_dir / "keys" / "local.key").read_text().strip()

    def environment(self) -> dict[str, str]:
        """For commands that shall find this instance and no other."""
        clean = {name: text for name, text in os.environ.items() if "ORCHESTRA" not in name}
        return {**clean, **self.settings, "ORCHESTRA_DATA_DIR": str(self.data_dir)}

    def start(self) -> None:
        """Runs `orchestra up` and returns when it says that it is ready."""
        ports = ["--http-port", str(self.http_port), "--https-port", str(self.https_port)]
        self.data_dir.parent.mkdir(parents=True, exist_ok=True)
        log = (self.data_dir.parent / f"{self.data_dir.name}.log").open("a")
        with log:
            self._process = subprocess.Popen(
                [ORCHESTRA, "up", "--json", "--data-dir", str(self.data_dir), *ports],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=self.environment(),
                start_new_session=True,
            )
        self.setup_url = self._await_ready(self._process)["setup_url"] or self.setup_url

    def _await_ready(self, process: subprocess.Popen[str]) -> dict[str, Any]:
        assert process.stdout is not None
        watchdog = threading.Timer(START_SECONDS, process.kill)
        watchdog.start()
        try:
            line = process.stdout.readline()
        finally:
            watchdog.cancel()
        assert line, f"`orchestra up` did not become ready:\n{self.log()}"
        return json.loads(line)

    def log(self) -> str:
        """The last words of `orchestra up`."""
        path = self.data_dir.parent / f"{self.data_dir.name}.log"
        return path.read_text()[-4000:] if path.exists() else ""

    def stop(self) -> None:
        """Ctrl-C, and what is left after a minute is killed."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
            raise
        finally:
            if process.stdout is not None:
                process.stdout.close()

    def kill_everything(self) -> None:
        """A power cut of our own: every program at once, the supervisor first.

        One that has ended, as it may when it cannot write, has taken the others with it.
        """
        process, self._process = self._process, None
        assert process is not None
        process.send_signal(signal.SIGSTOP)  # it starts nothing any more
        try:
            below = psutil.Process(process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            below = []
        for each in (process, *below):
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        process.wait(10)
        psutil.wait_procs(below, timeout=10)
        if process.stdout is not None:
            process.stdout.close()

    def programs(self) -> dict[str, dict[str, Any]]:
        """What runs, by name, as `runtime.json` says."""
        runtime = json.loads((self.data_dir / "runtime.json").read_text())
        return {item["name"]: item for item in runtime["processes"]}

    def pid(self, name: str) -> int:
        return int(self.programs()[name]["pid"])

    def kill(self, name: str) -> None:
        """`kill -9` of one program; the supervisor starts it again."""
        _kill_group(self.pid(name))

    def ask_to_stop(self, name: str) -> None:
        """SIGTERM to one program, as a deployment does; the supervisor starts it again."""
        os.kill(self.pid(name), signal.SIGTERM)

    def wait_restarted(self, name: str, former: int, *, seconds: float = 30) -> None:
        """Until the supervisor has started `name` again and it is ready."""

        def restarted() -> bool:
            program = self.programs()[name]
            return program["pid"] not in (0, former) and program["state"] == "ready"

        wait_until(restarted, seconds=seconds, what=f"{name} is back")

    @contextlib.contextmanager
    def client(self) -> Generator[httpx.Client]:
        """HTTP with this machine's API key; a feed reader sets its own limits."""
        headers = {"authorization": f"Bearer {self.key}"}
        with httpx.Client(
            base_url=self.url, headers=headers, timeout=15, trust_env=False
        ) as client:
            yield client

    def cli(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """One command of `orchestra` against this instance; fails the test if it fails.

        With `check=False` any exit code will do.
        """
        must_succeed = options.pop("check", True)
        given: dict[str, Any] = {"timeout": 90, "cwd": self.data_dir.parent, **options}
        done = subprocess.run(
            [ORCHESTRA, *arguments],
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
            **given,
        )
        assert done.returncode == 0 or not must_succeed, f"{arguments}: {done.stdout}{done.stderr}"
        return done


def wait_until(condition: Callable[[], object], *, seconds: float, what: str) -> None:
    """Polls; fails the test with `what` was waited for."""
    limit = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < limit, f"waited {seconds:g} s in vain until {what}"
        pause.wait(POLL_SECONDS)


def _kill_group(pid: int) -> None:
    """Each program is the leader of a group of its own; a helper it started goes with it."""
    if pid <= 0:
        return
    try:
        group = os.getpgid(pid)
        if group == pid:
            os.killpg(pid, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
