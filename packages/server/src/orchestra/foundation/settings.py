"""One typed settings object for every process.

A value comes from, in rising order: the default, `orchestra.toml` in the data directory, the
environment (`ORCHESTRA_<NAME>`), the command line. Where each came from is remembered.
"""

import dataclasses
import hashlib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, cast

from orchestra.foundation.errors import OrchestraError
from orchestra.foundation.settings_values import to_type

PREFIX = "ORCHESTRA_"


class BadSetting(OrchestraError):
    """A setting has a value that cannot be used."""

    code = "bad_setting"


def _setting(
    default: Any,
    about: str,
    *,
    secret: bool = False,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """A field with what `orchestra settings` prints and loading checks; bounds are inclusive."""
    return field(
        default=default,
        metadata={"about": about, "secret": secret, "low": low, "high": high, "choices": choices},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set.

    Times are in seconds and sizes in bytes unless the name says otherwise.
    """

    data_dir: Path = _setting(Path(".orchestra"), "where the instance keeps its state")
    http_host: str = _setting("127.0.0.1", "address of the plain HTTP door")
    http_port: int = _setting(8080, "port of the plain HTTP door", low=1, high=65535)
    https_host: str = _setting(
        "127.0.0.1", "address of the HTTPS and HTTP/3 door; 0.0.0.0 opens it to the network"
    )
    https_port: int = _setting(8443, "port of the HTTPS and HTTP/3 door", low=1, high=65535)
    public_url: str = _setting(
        "", "how people reach this instance; empty: http://localhost:<http_port>"
    )
    allowed_hosts: tuple[str, ...] = _setting((), "further host names that requests may name")

    database_url: str = _setting("", "PostgreSQL; empty: the embedded one", secret=True)
    database_pool_size: int = _setting(12, "connections of each process", low=2, high=200)
    nats_url: str = _setting("", "NATS with JetStream; empty: the embedded one", secret=True)
    nats_replicas: int = _setting(1, "copies of each stream", low=1, high=5)
    nats_reconnect_seconds: float = _setting(
        1.0, "wait between attempts to reconnect", low=0.05, high=60
    )
    stream_max_age_hours: float = _setting(
        24.0, "how long JetStream keeps a message", low=0.1, high=720
    )
    stream_max_bytes: int = _setting(
        2 * 1024**3, "size of each stream; the oldest go first", low=2**20
    )
    model_url: str = _setting("", "the local model server's base URL; empty: the embedded one")
    model_key: str = _setting("", "credential of the local model server", secret=True)
    local_model: bool = _setting(True, "start the embedded model server")
    local_model_max_tokens: int = _setting(
        1024, "longest answer of the local model, whatever a caller asks for", low=1, high=2**20
    )

    egress_allowed_hosts: tuple[str, ...] = _setting(
        (), "local hosts that outgoing requests may reach: <host> or <host>:<port>"
    )

    api_listen: str = _setting("127.0.0.1:8081", "where the api listens: unix:<path> or host:port")
    control_plane_listen: str = _setting(
        "127.0.0.1:8082", "where the control plane listens: unix:<path> or host:port"
    )
    control_plane_probe_listen: str = _setting(
        "127.0.0.1:8084",
        "where the control plane answers /health, /ready and /metrics: unix:<path> or host:port",
    )
    worker_listen: str = _setting(
        "127.0.0.1:8083",
        "where the worker answers /health, /ready and /metrics: unix:<path> or host:port",
    )

    lease_seconds: float = _setting(
        15.0, "how long a silent agent keeps its tasks", low=1, high=3600
    )
    heartbeat_seconds: float = _setting(2.0, "how often agents report", low=0.2, high=60)
    agent_grace_seconds: float = _setting(
        3.0, "how long tasks wait for an agent whose connection broke", low=0.1, high=3600
    )
    cancel_grace_seconds: float = _setting(
        30.0, "how long an agent may take to stop a cancelled task", low=0.1, high=3600
    )
    drain_seconds: float = _setting(
        5.0, "how long a stopping control plane waits for its agents to move", low=0, high=600
    )
    control_planes: int = _setting(1, "control planes on this machine", low=1, high=64)
    max_agents_per_owner: int = _setting(
        20_000, "agents that one person may have, connected or not", low=1
    )
    quarantine_failures: int = _setting(
        5, "failures in a row after which an agent gets nothing for a while; 0: never", low=0
    )
    quarantine_seconds: float = _setting(
        30.0, "the first quarantine of an agent; each further one is twice as long", low=0.1
    )
    max_quarantine_seconds: float = _setting(3_600.0, "the longest quarantine", low=0.1)
    queue_timeout_seconds: float = _setting(
        86_400.0, "default time a task may wait", low=0.1, high=2_592_000
    )
    run_timeout_seconds: float = _setting(
        3_600.0, "default time one attempt may run", low=0.1, high=2_592_000
    )
    progress_timeout_seconds: float = _setting(
        300.0, "default time without any event", low=0.1, high=2_592_000
    )
    max_attempts: int = _setting(3, "default number of attempts", low=1, high=100)
    max_task_depth: int = _setting(
        16, "levels that a tree of tasks may have below its root", low=0, high=1000
    )
    max_children: int = _setting(10_000, "children that one task may have", low=0, high=100_000)
    max_steps: int = _setting(
        10_000, "steps, questions and timers that one task may have", low=0, high=100_000
    )
    max_approval_seconds: float = _setting(
        2_592_000.0, "how long a question of a task may wait for its answer", low=1, high=31_536_000
    )
    max_queued_tasks: int = _setting(
        1_000_000, "tasks that may wait in the whole installation", low=1
    )
    max_queued_per_queue: int = _setting(
        1_000_000, "tasks that may wait in one queue that has no bound of its own", low=1
    )
    max_task_input_bytes: int = _setting(
        1024**2, "size of a task's input as JSON", low=1024, high=8 * 1024**2
    )
    max_task_result_bytes: int = _setting(
        1024**2, "size of a task's result as JSON", low=1024, high=8 * 1024**2
    )
    max_grpc_message_bytes: int = _setting(
        4 * 1024**2, "size of one gRPC message", low=64 * 1024, high=2**26
    )
    max_request_bytes: int = _setting(
        4 * 1024**2, "size of an HTTP request body", low=64 * 1024, high=2**30
    )

    poison_attempts: int = _setting(
        3, "a task that has lost its agent so often is set aside", low=1, high=1000
    )
    idempotency_hours: float = _setting(
        24.0, "how long an idempotency key stands for its task", low=0.001, high=8760
    )
    keep_task_days: float = _setting(
        30.0, "how long a task is kept after its end", low=0.0001, high=36_500
    )
    keep_tasks_per_queue: int = _setting(
        0, "finished tasks that are kept in each queue; 0: all within keep_task_days", low=0
    )
    keep_model_call_days: float = _setting(
        90.0, "how long calls of models are kept", low=0.0001, high=36_500
    )
    max_schedules_per_user: int = _setting(1_000, "schedules of one person", low=1)
    schedule_grace_seconds: float = _setting(
        60.0, "a schedule that is later than this has missed its time", low=1, high=86_400
    )
    max_catch_up: int = _setting(
        100, "missed times of a schedule that are made up for", low=1, high=1_000
    )
    max_blob_bytes: int = _setting(100 * 1024**2, "size of one blob", low=1024, high=10 * 1024**3)
    max_user_blob_bytes: int = _setting(10 * 1024**3, "size of all blobs of one person", low=1024)
    keep_unused_blob_hours: float = _setting(
        24.0, "how long a blob is kept that no task refers to", low=0.0001, high=8760
    )
    blob_store: str = _setting(
        "postgresql", "where new blobs go: postgresql or s3", choices=("postgresql", "s3")
    )
    s3_bucket: str = _setting("", "bucket for blobs, which has to exist")
    s3_prefix: str = _setting("blobs/", "what the names of our objects in it begin with")
    s3_endpoint: str = _setting("", "address of S3-compatible storage; empty: AWS")
    s3_region: str = _setting("us-east-1", "region of the bucket")
    s3_access_key: str = _setting(
        "", "key for it; empty: of AWS_ACCESS_KEY_ID or the machine's role", secret=True
    )
    s3_secret_key: str = _setting("", "secret of that key", secret=True)
    s3_path_style: bool = _setting(True, "<endpoint>/<bucket>; false: <bucket>.<endpoint>")
    s3_timeout_seconds: float = _setting(
        60.0, "how long one request to it may take", low=0.1, high=3_600
    )
    s3_uploads_at_once: int = _setting(
        16, "uploads of each process, of which each holds 20 MiB", low=1, high=1_000
    )
    sign_ins_per_minute: int = _setting(
        120, "sign-ins and enrolments of one client address; 0: any number", low=0, high=1_000_000
    )
    submits_per_second: int = _setting(
        2_000, "submits of one client address, a batch as one; 0: any number", low=0, high=1_000_000
    )

    login_idle_hours: float = _setting(
        168.0, "a login ends when unused for so long", low=0.01, high=8760
    )
    login_absolute_hours: float = _setting(
        720.0, "a login ends at the latest after", low=0.01, high=8760
    )
    feed_heartbeat_seconds: float = _setting(
        15.0, "comment that keeps an idle feed open", low=0.1, high=300
    )
    feed_buffer_events: int = _setting(
        2_048, "events kept in memory for each topic with readers", low=16, high=2**20
    )
    feed_max_per_caller: int = _setting(
        64, "feeds one caller may hold open at one api process", low=1
    )

    log_level: str = _setting("info", "debug, info, warning or error")
    otlp_endpoint: str = _setting("", "OTLP/HTTP collector for traces; empty: traces are off")
    key_encryption_key: str = _setting(
        "",
        "32 bytes in base64 that wrap the data key; empty: keys/kek in the data directory",
        secret=True,
    )

    origins: Mapping[str, str] = field(default_factory=dict[str, str], repr=False, compare=False)

    @property
    def base_url(self) -> str:
        """How people and agents reach the instance."""
        return self.public_url.rstrip("/") or self.local_url

    @property
    def local_url(self) -> str:
        """How programs on this machine reach it, for whom no certificate has to be trusted."""
        return f"http://localhost:{self.http_port}"

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is allowed and hardly meant, each in a sentence."""
        found: list[str] = []
        if self.lease_seconds < 2 * self.heartbeat_seconds:
            found.append(
                f"lease_seconds ({self.lease_seconds:g}) is less than two heartbeats of "
                f"{self.heartbeat_seconds:g} s: one late report, and an agent at work loses its "
                "tasks. Raise lease_seconds or lower heartbeat_seconds."
            )
        return tuple(found)

    @property
    def keys_dir(self) -> Path:
        return self.data_dir / "keys"

    @property
    def runtime_dir(self) -> Path:
        """A short path for sockets, of which the system allows about 100 characters.

        Not in XDG_RUNTIME_DIR: that is removed when its user logs out, and the instance may stay.
        """
        digest = hashlib.sha256(str(self.data_dir.resolve()).encode()).hexdigest()[:8]
        return Path(f"/tmp/orchestra-{os.getuid()}/ao-{digest}")  # noqa: S108 - the owner is checked

    def with_values(self, origin: str, **values: Any) -> "Settings":
        """A copy with `values`, whose origin is remembered."""
        origins = {**self.origins, **dict.fromkeys(values, origin)}
        return dataclasses.replace(self, **values, origins=origins)


@dataclass(frozen=True, slots=True)
class SettingLine:
    """One line of `orchestra settings`."""

    name: str
    value: str
    origin: str
    about: str


def load(
    arguments: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None
) -> Settings:
    """Reads the settings; raises BadSetting naming the setting, its origin and its type."""
    environment = os.environ if environment is None else environment
    given = {name: value for name, value in (arguments or {}).items() if value is not None}
    from_environment = {
        item.name: environment[PREFIX + item.name.upper()]
        for item in _settable()
        if PREFIX + item.name.upper() in environment
    }
    data_dir = given.get("data_dir") or from_environment.get("data_dir") or default_data_dir()
    from_file = _read_file(Path(data_dir) / "orchestra.toml")
    values: dict[str, Any] = {"data_dir": Path(data_dir).expanduser().absolute()}
    origins: dict[str, str] = {}
    for origin, layer in (
        ("file", from_file),
        ("environment", from_environment),
        ("argument", given),
    ):
        for name, value in layer.items():
            values[name] = _convert(name, value, origin)
            origins[name] = origin
    values["data_dir"] = values["data_dir"].expanduser().absolute()
    settings = Settings(**values, origins=origins)
    _check_together(settings)
    return settings


def _check_together(settings: Settings) -> None:
    """Raises BadSetting for values that are good alone and not with one another."""
    if settings.blob_store == "s3" and not settings.s3_bucket:
        raise BadSetting("blob_store is s3, so s3_bucket has to name a bucket")
    if bool(settings.s3_access_key) != bool(settings.s3_secret_key):
        raise BadSetting("s3_access_key and s3_secret_key belong together: set both or neither")
    if settings.s3_endpoint and not settings.s3_endpoint.startswith(("http://", "https://")):
        raise BadSetting("s3_endpoint should begin with https:// or http://")


def default_data_dir() -> Path:
    """`.orchestra` where one exists or in our checkout, else the user's data directory."""
    for directory in (Path.cwd(), *Path.cwd().parents):
        if (directory / ".orchestra").is_dir() or (
            directory / "packages/server/src/orchestra"
        ).is_dir():
            return directory / ".orchestra"
    base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(base).expanduser() / "ai-orchestra"


def describe(settings: Settings) -> list[SettingLine]:
    """Every setting with its value and origin; secrets show only whether they are set."""
    return [
        SettingLine(
            name=item.name,
            value=_shown(getattr(settings, item.name), secret=item.metadata["secret"]),
            origin=settings.origins.get(item.name, "default"),
            about=item.metadata["about"],
        )
        for item in _settable()
    ]


def _settable() -> list[dataclasses.Field[Any]]:
    return [item for item in fields(Settings) if item.metadata]


def _shown(value: object, *, secret: bool) -> str:
    if secret:
        return "•••• (set)" if value else "(not set)"
    return ", ".join(cast("tuple[str, ...]", value)) if isinstance(value, tuple) else str(value)


def _read_file(path: Path) -> dict[str, Any]:
    try:
        content = tomllib.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadSetting(f"{path} cannot be read: {error}") from error
    known = {item.name for item in _settable()}
    if unknown := sorted(set(content) - known):
        raise BadSetting(f"{path} names settings that do not exist: {', '.join(unknown)}")
    return content


def _convert(name: str, value: Any, origin: str) -> Any:
    setting = next(item for item in _settable() if item.name == name)
    try:
        converted = to_type(type(cast("object", setting.default)), value)
    except (KeyError, TypeError, ValueError) as error:
        wanted = type(setting.default).__name__
        raise BadSetting(
            f"{name} ({origin}) is {value!r}, but should be of type {wanted}"
        ) from error
    if (choices := setting.metadata["choices"]) and converted not in choices:
        raise BadSetting(f"{name} ({origin}) is {value!r}, but should be {' or '.join(choices)}")
    low, high = setting.metadata["low"], setting.metadata["high"]
    # Written so that NaN, which compares false with everything, is refused too.
    if not ((low is None or converted >= low) and (high is None or converted <= high)):
        raise BadSetting(f"{name} ({origin}) is {value!r}, but should be between {low} and {high}")
    return converted
