"""The program that is ten thousand agents, as the benchmarks start and watch it."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench import programs
from bench.fleet import KEY_VARIABLE
from bench.programs import Program

BEAT_SECONDS = 5.0
PATIENCE_SECONDS = 300.0


class FleetProgram:
    """`bench.fleet` on the core of the load; `environment` names its ledgers."""

    def __init__(
        self,
        directory: Path,
        url: str,
        key: str,
        *,
        count: int,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._log = directory / f"fleet-{url.rpartition(':')[2]}.log"
        self._out = self._log.with_suffix(".out")
        address = url.removeprefix("http://")
        self._argv = [sys.executable, "-m", "bench.fleet", address, str(count), str(BEAT_SECONDS)]
        self._environment = {**os.environ, **(environment or {}), KEY_VARIABLE: key}
        self._program: Program | None = None

    def __enter__(self) -> "FleetProgram":
        return self

    def __exit__(self, *_: object) -> None:
        if self._program is not None:
            self._program.stop()

    def go(self) -> None:
        with self._out.open("wb") as output, self._log.open("wb") as errors:
            process = subprocess.Popen(
                self._argv,
                cwd=programs.ROOT,
                env=self._environment,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )
        self._program = Program(process, self._log)

    def insist(self) -> None:
        """All beat as often as they were started to, whatever the server asks for."""
        if self._program is not None:
            self._program.process.send_signal(signal.SIGUSR1)

    def wait_attached(self, times: int) -> int:
        """When all were attached for that many times, in nanoseconds; before it, waits."""
        if self._program is None:
            raise RuntimeError("the fleet has not begun")
        self._program.wait_until(lambda: len(self._lines()) >= times, seconds=PATIENCE_SECONDS)
        return int(self._lines()[times - 1])

    def _lines(self) -> Sequence[str]:
        return self._out.read_text().splitlines()
