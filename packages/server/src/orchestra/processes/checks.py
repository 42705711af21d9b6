"""What `doctor` looks at. Each check says in a sentence what it found and, if that is bad, how to
mend it.
"""

import asyncio
import os
import platform
import re
import resource
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from orchestra.engines import binaries, model, postgres
from orchestra.engines.errors import EngineError
from orchestra.engines.process import Command, check_port, run
from orchestra.features import blobs
from orchestra.foundation import clock
from orchestra.foundation.object_places import ObjectStoreFailed
from orchestra.foundation.settings import Settings
from orchestra.processes import record
from orchestra.processes.instance import LEAST_FREE_BYTES

OLDEST_PYTHON = (3, 11)
WANTED_FILES = 4096
# Files of the code are younger than this; a clock before it makes every certificate invalid.
EARLIEST_YEAR = 2026
# Of everything that the check of the object storage does together.
BLOBS_SECONDS = 20.0
VERSION = re.compile(r"\d+(?:\.\d+)+")


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; `fix` is empty when it is good."""

    name: str
    good: bool
    sentence: str
    fix: str = ""

    def as_json(self) -> dict[str, object]:
        return asdict(self)

    def as_text(self) -> str:
        mark = "ok  " if self.good else "BAD "
        return f"{mark} {self.name}: {self.sentence}" + (f"\n     → {self.fix}" if self.fix else "")


def run_all(settings: Settings) -> list[Finding]:
    """Every check, in the order in which a start would meet them."""
    return [
        _python(),
        *_binaries(),
        _model(settings),
        _directory(settings),
        _space(settings),
        _database(settings),
        _blobs(settings),
        *_ports(settings),
        _open_files(),
        _clock(),
        *_settings(settings),
    ]


def _python() -> Finding:
    version = platform.python_version()
    if sys.version_info >= OLDEST_PYTHON:
        return Finding("Python", good=True, sentence=f"{version}")
    return Finding(
        "Python", good=False, sentence=f"{version} is too old", fix="Install Python 3.11 or newer."
    )


def _binaries() -> list[Finding]:
    programs: dict[str, tuple[Callable[[], Path], str]] = {
        "PostgreSQL": (lambda: binaries.postgres_directory() / "postgres", "--version"),
        "NATS": (binaries.nats_server, "--version"),
        "Envoy": (binaries.envoy, "--version"),
    }
    return [_binary(name, find, flag) for name, (find, flag) in programs.items()]


def _binary(name: str, find: Callable[[], Path], flag: str) -> Finding:
    try:
        printed = run(Command(argv=(str(find()), flag), directory=Path("/")), purpose=f"run {name}")
    except EngineError as error:
        return Finding(name, good=False, sentence=error.message, fix="Run `make setup`.")
    versions: list[str] = VERSION.findall(printed)
    return Finding(name, good=True, sentence=versions[-1] if versions else printed.strip())


def _model(settings: Settings) -> Finding:
    if not settings.local_model:
        return Finding("model", good=True, sentence="the local model is switched off")
    try:
        model.verify(binaries.model_file(), memory=settings.data_dir / "model" / "model.json")
    except EngineError as error:
        return Finding("model", good=False, sentence=error.message, fix="Run `make setup`.")
    return Finding("model", good=True, sentence=f"{model.MODEL_NAME} has the right checksum")


def _directory(settings: Settings) -> Finding:
    existing = _nearest(settings.data_dir)
    if os.access(existing, os.W_OK | os.X_OK):
        return Finding(
            "data directory", good=True, sentence=f"{settings.data_dir} can be written to"
        )
    return Finding(
        "data directory",
        good=False,
        sentence=f"{existing} cannot be written to",
        fix="Change its owner, or choose another with --data-dir.",
    )


def _space(settings: Settings) -> Finding:
    free = shutil.disk_usage(_nearest(settings.data_dir)).free
    sentence = f"{free / 2**30:.1f} GB are free"
    if free >= LEAST_FREE_BYTES:
        return Finding("disk", good=True, sentence=sentence)
    return Finding("disk", good=False, sentence=sentence, fix="Free at least 256 MB.")


def _database(settings: Settings) -> Finding:
    if settings.database_url:
        return Finding("database", good=True, sentence="PostgreSQL is set from outside")
    directory = settings.data_dir / "postgres"
    try:
        postgres.check_version(directory)
    except EngineError as error:
        return Finding("database", good=False, sentence=error.message, fix="See above.")
    state = "exists" if directory.exists() else "will be created at the first start"
    return Finding("database", good=True, sentence=f"{directory} {state}")


def _blobs(settings: Settings) -> Finding:
    if settings.blob_store != "s3":
        return Finding("blobs", good=True, sentence="new ones go into the database")
    where = f"the bucket {settings.s3_bucket} at {settings.s3_endpoint or 'AWS'}"
    try:
        asyncio.run(asyncio.wait_for(blobs.try_out(settings), BLOBS_SECONDS))
    except (ObjectStoreFailed, TimeoutError) as error:
        said = str(error) or f"It did not answer within {BLOBS_SECONDS:g} s."
        sentence = f"{where} cannot be used. {said}"
        fix = "See “Keep blobs in S3” in docs/how-to/large-inputs.md."
        return Finding("blobs", good=False, sentence=sentence, fix=fix)
    sentence = f"{where} can be written, read and deleted from"
    return Finding("blobs", good=True, sentence=sentence)


def _ports(settings: Settings) -> list[Finding]:
    if record.read(settings).is_running:
        return [Finding("ports", good=True, sentence="in use by this instance, which runs")]
    doors = {
        "HTTP": (settings.http_port, "--http-port"),
        "HTTPS": (settings.https_port, "--https-port"),
    }
    return [_port(name, port, option) for name, (port, option) in doors.items()]


def _port(name: str, port: int, option: str) -> Finding:
    try:
        check_port(port, used_for=name)
    except EngineError as error:
        fix = f"Stop the other program, or choose another port with {option}."
        return Finding(f"port {port}", good=False, sentence=error.message, fix=fix)
    return Finding(f"port {port}", good=True, sentence=f"free for {name}")


def _open_files() -> Finding:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    sentence = f"a process may open {hard} files"
    if hard >= WANTED_FILES:
        return Finding("open files", good=True, sentence=sentence)
    return Finding(
        "open files", good=False, sentence=sentence, fix="Raise the limit with `ulimit -Hn`."
    )


def _clock() -> Finding:
    now = clock.now()
    if now.year >= EARLIEST_YEAR:
        return Finding("clock", good=True, sentence=f"{now:%Y-%m-%d %H:%M:%S} UTC")
    return Finding(
        "clock", good=False, sentence=f"it says {now:%Y-%m-%d}", fix="Set the machine's clock."
    )


def _settings(settings: Settings) -> list[Finding]:
    return [
        Finding("settings", good=False, sentence=warning, fix="See `orchestra settings`.")
        for warning in settings.warnings
    ]


def _nearest(path: Path) -> Path:
    """The path itself or, if it does not exist yet, the nearest directory above that does."""
    return next(folder for folder in (path, *path.parents) if folder.exists())
