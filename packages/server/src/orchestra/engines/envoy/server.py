"""Writes Envoy's configuration and says how to start it and when it is ready."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from orchestra.engines import binaries
from orchestra.engines.address import Address, answers
from orchestra.engines.envoy.clusters import clusters
from orchestra.engines.envoy.listeners import listeners
from orchestra.engines.envoy.plan import Plan
from orchestra.engines.envoy.typed import Config, typed
from orchestra.engines.process import Command, make_directory, write_private

# A worker that is stuck shows within half a minute; checking every 0.2 s costs more than all else
# when idle.
WATCHDOG = {"miss_timeout": "10s", "megamiss_timeout": "30s"}
# The files a process may open, minus what upstreams, logs and listeners need.
MAX_CONNECTIONS = 18_000
LOG_FORMAT = '{"timestamp":"%Y-%m-%dT%T.%eZ","level":"%l","message":"%j","caller":"%n"}'


@dataclass(frozen=True, slots=True)
class Envoy:
    """One gateway: its configuration file, and the socket on which it answers questions about
    itself.
    """

    configuration: Path
    admin_socket: Path
    workers: int

    def command(self) -> Command:
        return Command(
            argv=self.argv("serve"), directory=self.configuration.parent, stop_seconds=5.0
        )

    def argv(self, mode: str) -> tuple[str, ...]:
        """`mode` is `serve`, or `validate` to check the configuration and exit."""
        return (
            str(binaries.envoy()),
            *("--config-path", str(self.configuration)),
            *("--mode", mode),
            *("--concurrency", str(self.workers)),
            *("--log-level", "warning"),
            *("--log-format", LOG_FORMAT),
            "--disable-hot-restart",
        )

    def is_ready(self) -> bool:
        return answers(Address(f"unix:{self.admin_socket}"), path="/ready")


def prepare(directory: Path, plan: Plan) -> Envoy:
    """Writes the configuration for `plan` into `directory`."""
    make_directory(directory)
    make_directory(plan.access_log.parent)
    make_directory(plan.admin_socket.parent)
    gateway = Envoy(directory / "envoy.yaml", plan.admin_socket, plan.workers)
    # C's emitter: the pure Python one takes 60 ms of every start.
    text: str = yaml.dump(render(plan), Dumper=yaml.CSafeDumper, sort_keys=False)
    write_private(gateway.configuration, text)
    return gateway


def render(plan: Plan) -> Config:
    """The whole configuration."""
    return {
        "admin": {"address": {"pipe": {"path": str(plan.admin_socket), "mode": 0o600}}},
        "static_resources": {"listeners": listeners(plan), "clusters": clusters(plan)},
        "stats_flush_interval": "60s",
        "watchdogs": {"main_thread_watchdog": WATCHDOG, "worker_watchdog": WATCHDOG},
        "overload_manager": {"resource_monitors": [_connection_limit()]},
    }


def _connection_limit() -> Config:
    kind = (
        "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig"
    )
    limit = {"max_active_downstream_connections": MAX_CONNECTIONS}
    return typed("envoy.resource_monitors.global_downstream_max_connections", kind, limit)
