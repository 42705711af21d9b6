"""Everything `up` needs before a program starts: directories, ports, passwords, engines that are
prepared.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from orchestra.engines import model, nats, postgres
from orchestra.engines.envoy import Envoy
from orchestra.engines.errors import DirectoryUnusable, EngineError, PortTaken
from orchestra.engines.model import Model
from orchestra.engines.nats import Nats
from orchestra.engines.postgres import Postgres
from orchestra.engines.process import check_port, free_port, make_directory, unusable
from orchestra.foundation import ids
from orchestra.foundation.settings import Settings
from orchestra.processes import gateway
from orchestra.processes.record import Record

# Less than this and PostgreSQL or NATS soon cannot write; a fresh instance takes 60 MB.
LEAST_FREE_BYTES = 256 * 1024 * 1024
ORIGIN = "up"


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance that is ready to be started. An engine that runs elsewhere is None."""

    settings: Settings
    record: Record
    gateway: Envoy
    postgres: Postgres | None = None
    nats: Nats | None = None
    model: Model | None = None


def make_data_directory(settings: Settings) -> None:
    """Makes the directories, or raises DirectoryUnusable with the reason in words."""
    # PostgreSQL is another user when we are root, and has to pass; what is private has its own
    # mode.
    mode = 0o711 if os.geteuid() == 0 else 0o700
    make_directory(settings.data_dir, mode=mode)
    make_directory(settings.data_dir / "logs")
    make_directory(settings.keys_dir)
    _check_writable(settings.data_dir)
    _check_space(settings.data_dir)
    _make_runtime_directory(settings.runtime_dir, mode=mode)


def prepare(settings: Settings, former: Record) -> Instance:
    """Prepares the engines that are not given from outside; ports and passwords of before are kept.

    Raises EngineError with the reason.
    """
    _check_doors(settings)
    ports = {name: _port(former.ports.get(name)) for name in ("nats", "model")}
    passwords = {name: former.passwords.get(name) or ids.new_secret() for name in ("nats", "model")}
    record = former.evolve(ports=ports, passwords=passwords, url=settings.local_url)
    data, addresses = settings.data_dir, _listen_addresses(settings)
    database, bus, answers = None, None, None
    if not settings.database_url:
        database = postgres.prepare(data / "postgres", socket_directory=settings.runtime_dir / "pg")
        addresses["database_url"] = database.url()
    if not settings.nats_url:
        bus = nats.prepare(data / "nats", port=ports["nats"], password=passwords["nats"])
        addresses["nats_url"] = bus.url
    if settings.local_model and not settings.model_url:
        answers = model.prepare(data / "model", port=ports["model"], key=passwords["model"])
        addresses |= {"model_url": answers.url, "model_key": answers.key}
    complete = settings.with_values(ORIGIN, **addresses)
    door = gateway.prepare(complete)
    return Instance(complete, record.evolve(settings=addresses), door, database, bus, answers)


def environment(settings: Settings) -> dict[str, str]:
    """What the children are told: everything that they cannot read from the file or inherit."""
    told = {"argument", ORIGIN}
    names = [name for name, origin in settings.origins.items() if origin in told]
    values = {f"ORCHESTRA_{name.upper()}": _as_text(getattr(settings, name)) for name in names}
    return {**values, "ORCHESTRA_DATA_DIR": str(settings.data_dir)}


def _as_text(value: object) -> str:
    """As the settings read it back from a variable."""
    if isinstance(value, tuple):
        return ",".join(str(part) for part in cast("tuple[object, ...]", value))
    return str(value)


def _listen_addresses(settings: Settings) -> dict[str, str]:
    """Sockets in the runtime directory for every address that was not set by hand."""
    names = {
        "api_listen": "api",
        "control_plane_listen": "control-plane",
        "control_plane_probe_listen": "control-plane-probe",
        "worker_listen": "worker",
    }
    return {
        setting: f"unix:{settings.runtime_dir / name}.sock"
        for setting, name in names.items()
        if setting not in settings.origins
    }


def _check_doors(settings: Settings) -> None:
    http, https = gateway.doors(settings)
    try:
        for address in http.addresses:
            check_port(http.port, used_for="HTTP", address=address)
        for address in https.addresses:
            check_port(https.port, used_for="HTTPS", address=address)
            check_port(https.port, used_for="HTTP/3", address=address, udp=True)
    except PortTaken as error:
        option = "--http-port" if f"Port {http.port} " in error.message else "--https-port"
        raise PortTaken(f"{error.message.removesuffix('.')} with {option}.") from error


def _port(former: int | None) -> int:
    """The port of before, so that clients find it again; another if somebody took it meanwhile."""
    if former is None:
        return free_port()
    try:
        check_port(former, used_for="an engine")
    except PortTaken:
        return free_port()
    return former


def _check_writable(directory: Path) -> None:
    probe = directory / ".writable"
    try:
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise unusable(directory, error) from error


def _check_space(directory: Path) -> None:
    state = os.statvfs(directory)
    free = state.f_bavail * state.f_frsize
    if free < LEAST_FREE_BYTES:
        raise DirectoryUnusable(
            f"The disk of {directory} is full: {free >> 20} MB are free, and at least "
            f"{LEAST_FREE_BYTES >> 20} MB are needed."
        )


def _make_runtime_directory(directory: Path, *, mode: int) -> None:
    """Under /tmp anybody may have made the parent before us, to read or replace our sockets."""
    make_directory(directory.parent, mode=mode)
    state = directory.parent.lstat()
    if state.st_uid != os.geteuid() or state.st_mode & 0o022:
        raise EngineError(
            f"{directory.parent} belongs to somebody else or is open to others; remove it."
        )
    if os.geteuid() == 0:
        directory.parent.chmod(mode)  # one made by another program of ours may be stricter
    make_directory(directory, mode=mode)
