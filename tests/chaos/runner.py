"""Runs faults, one after the other, and says how each went."""

import hashlib
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from e2e.product import Product
from orchestra.engines.process import free_ports

from chaos import checker
from chaos.checker import Violation
from chaos.code import Code
from chaos.disk import Disk
from chaos.evidence import Evidence
from chaos.faults import Fault
from chaos.stage import CRASH_POINTS, Stage

# Short, so that a run sees leases end; every bound of the faults is chosen beside them.
SETTINGS = {
    "lease_seconds": "4",
    "heartbeat_seconds": "0.5",
    "agent_grace_seconds": "1",
    "drain_seconds": "2",
    # Agents are killed again and again: no task shall be blamed for it.
    "poison_attempts": "100",
    "local_model": "false",
    "log_level": "info",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one run went. `recovery_seconds`: from the fault to the next effect after it."""

    fault: str
    seed: int
    seconds: float
    acknowledged: int
    effects: int
    repeated: int  # effects that a receiver without keys would see twice
    recovery_seconds: float
    violations: tuple[Violation, ...]

    @property
    def line(self) -> str:
        words = "ok  " if not self.violations else "FAIL"
        return (
            f"{words} {self.fault:22} seed {self.seed:<6} {self.seconds:5.1f} s  "
            f"{self.acknowledged:4} acknowledged  {self.effects:4} effects  "
            f"{self.repeated:2} attempts repeated  next effect after {self.recovery_seconds:.1f} s"
        )


class Runner:
    """Keeps one product for the faults that can share it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._product: Product | None = None
        self._settings: dict[str, str] = {}
        self._products = 0
        self._runs = 0
        self._disk: Disk | None = None
        self._code: Code | None = None

    def run(self, fault: Fault, seed: int) -> Outcome:
        """One run; it leaves its evidence in a directory of its own."""
        self._runs += 1
        directory = self._directory / f"{self._runs:02}-{fault.name}-{seed}"
        directory.mkdir(parents=True)
        product = self._product_for(fault)
        began = time.monotonic()
        random = Random(f"{fault.name} {seed}")  # noqa: S311 - a seed shall repeat the run
        queue = f"chaos-{hashlib.sha256(str(directory).encode()).hexdigest()[:10]}"
        stage = Stage(
            product,
            directory,
            queue=queue,
            random=random,
            size=fault.size,
            disk=self._disk,
            code=self._code,
        )
        evidence, violations = _perform(fault, stage)
        if fault.own_product:
            self.close()
        return _outcome(fault, seed, stage, evidence, violations, seconds=time.monotonic() - began)

    def close(self) -> None:
        if self._product is not None:
            self._product.stop()
            self._product = None
        if self._disk is not None:
            self._disk.save_logs(self._directory / f"logs-{self._products}")
            self._disk.unmount()
            self._disk = None
        self._code = None

    def _product_for(self, fault: Fault) -> Product:
        settings = {**SETTINGS, **fault.settings}
        if self._product is not None and (fault.own_product or settings != self._settings):
            self.close()
        if self._product is None:
            self._settings = dict(settings)
            self._products += 1
            http_port, https_port = free_ports(2)
            home = self._directory / f"product-{self._products}"
            home.mkdir(parents=True)
            if fault.disk is not None:
                self._disk = fault.disk(home)
                self._disk.mount()
            (home / CRASH_POINTS).mkdir()
            settings["crash_points"] = str(home / CRASH_POINTS)
            told = {f"ORCHESTRA_{name.upper()}": text for name, text in settings.items()}
            if fault.revision:
                self._code = Code(home / "code")
                self._code.become(fault.revision)
                told["PYTHONPATH"] = self._code.path
            self._product = Product(
                data_dir=home / "data", http_port=http_port, https_port=https_port, settings=told
            )
            self._product.start()
        return self._product


def _perform(fault: Fault, stage: Stage) -> tuple[Evidence, list[Violation]]:
    """Begin, break, heal, settle, judge; what breaks the run itself is a violation, too."""
    broken: list[Violation] = []
    try:
        fault.prepare(stage)
        stage.begin(kinds=fault.kinds)
        fault.run(stage)
        stage.settle()
    except Exception:  # noqa: BLE001 - whatever it is, what was left behind shall be judged
        broken.append(Violation("run", traceback.format_exc(limit=-4)))
    try:
        evidence = stage.finish()
    except Exception:  # noqa: BLE001 - the product did not come back: nothing is left to judge
        broken.append(Violation("run", traceback.format_exc(limit=-4)))
        return Evidence(), broken
    return evidence, [*broken, *checker.check(evidence)]


def _outcome(
    fault: Fault,
    seed: int,
    stage: Stage,
    evidence: Evidence,
    violations: Sequence[Violation],
    *,
    seconds: float,
) -> Outcome:
    if stage.load.given_up:
        said = f"{stage.load.given_up} submits were never acknowledged"
        violations = [Violation("run", said), *violations]
    later = [effect.at for effect in evidence.effects if effect.at > stage.injected_at]
    return Outcome(
        fault=fault.name,
        seed=seed,
        seconds=seconds,
        acknowledged=len(checker.acknowledged(evidence.tries)),
        effects=len(evidence.effects),
        repeated=checker.doubled(evidence.effects),
        recovery_seconds=min(later, default=float("nan")) - stage.injected_at,
        violations=tuple(violations),
    )


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
