"""The agent processes of a run: started, killed, stopped and continued by faults."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from e2e.product import ROOT, Product

from chaos.evidence import EFFECTS

END_SECONDS = 10.0


@dataclass(slots=True)
class AgentProcess:
    """One agent, over as many processes as it takes."""

    name: str
    product: Product
    directory: Path
    queue: str
    extra: dict[str, str] = field(default_factory=dict[str, str])
    memory_limit: int = 0  # bytes of address space; 0: none
    open_files: int = 0  # 0: as this process
    prefix: tuple[str, ...] = ()  # a command that becomes the agent
    code: tuple[str, ...] = ()  # where its packages are, if not where ours are
    _process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} does not run"
        return self._process.pid

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, *, command: tuple[str, ...] = ("-m", "chaos.agent")) -> None:
        with (self.directory / f"{self.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self.prefix, sys.executable, *command],
                cwd=self.directory,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=self._limits(),
            )

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait(END_SECONDS)

    def pause(self) -> None:
        """As a machine that sleeps: it keeps everything and does nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def restart(self) -> None:
        self.kill()
        self.start()

    def keep_alive(self) -> None:
        """What a service manager does: starts it again if it has ended."""
        if not self.runs:
            self.start()

    def end(self) -> None:
        """Asks it to stop, then insists."""
        if self._process is None:
            return
        self.resume()
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def _signal(self, number: signal.Signals) -> None:
        if self.runs:
            os.kill(self.pid, number)

    def _environment(self) -> dict[str, str]:
        inherited = os.environ.get("PYTHONPATH", "")
        return {
            **self.product.environment(),
            "PYTHONPATH": os.pathsep.join((str(ROOT / "tests"), *self.code, inherited)),
            "CHAOS_AGENT": self.name,
            "CHAOS_QUEUE": self.queue,
            "CHAOS_LEDGER": str(self.directory / EFFECTS),
            "ORCHESTRA_URL": self.product.url,
            "ORCHESTRA_KEY_FILE": str(self.product.data_dir / "keys" / "local.key"),
            **self.extra,
        }

    def _limits(self) -> Callable[[], None] | None:
        limits = {
            resource.RLIMIT_AS: self.memory_limit,
            resource.RLIMIT_NOFILE: self.open_files,
        }
        wanted = {kind: limit for kind, limit in limits.items() if limit}
        if not wanted:
            return None

        def apply() -> None:
            for kind, limit in wanted.items():
                resource.setrlimit(kind, (limit, limit))

        return apply
