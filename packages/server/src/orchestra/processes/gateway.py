"""`orchestra gateway`: Envoy alone, before api and control plane wherever they listen."""

import argparse
import os
from urllib.parse import urlsplit

from orchestra.engines import certificates, envoy
from orchestra.engines.address import Address
from orchestra.engines.envoy import limits
from orchestra.engines.process import make_directory
from orchestra.foundation.settings import Settings
from orchestra.processes import terminal
from orchestra.processes.planes import control_planes

# Two busy threads fill what our two kinds of upstream can answer on most machines.
MOST_WORKERS = 4


def command(argv: list[str]) -> int:
    """Run the gateway alone."""
    options = terminal.parser("gateway", "Run the gateway (Envoy) alone, in the foreground.")
    terminal.add_ports(options)
    return terminal.run(_main, options=options, argv=argv)


def _main(settings: Settings, _arguments: argparse.Namespace) -> int:
    make_directory(settings.data_dir)
    make_directory(settings.runtime_dir)
    argv = prepare(settings).argv("serve")
    os.execv(argv[0], argv)  # noqa: S606 - becomes Envoy, so that signals reach it


def doors(settings: Settings) -> tuple[envoy.Door, envoy.Door]:
    """Where people and agents come in: plain, and with TLS."""
    http = envoy.Door(settings.http_host, settings.http_port)
    return http, envoy.Door(settings.https_host, settings.https_port)


def prepare(settings: Settings) -> envoy.Envoy:
    """Writes Envoy's configuration from the settings."""
    http, https = doors(settings)
    plan = envoy.Plan(
        http=http,
        https=https,
        api=Address(settings.api_listen),
        control_planes=tuple(Address(plane.listen) for plane in control_planes(settings)),
        certificate=certificates.prepare(settings.data_dir / "certs", names=_names(settings)),
        admin_socket=settings.runtime_dir / "envoy.sock",
        access_log=settings.data_dir / "logs" / "access.log",
        max_request_bytes=settings.max_request_bytes,
        workers=min(os.cpu_count() or 1, MOST_WORKERS),
        sign_ins=limits.sign_in(per_minute=settings.sign_ins_per_minute),
        submits=limits.submit(per_second=settings.submits_per_second),
    )
    return envoy.prepare(settings.data_dir / "envoy", plan)


def _names(settings: Settings) -> list[str]:
    """By which people call this instance; a pattern or nonsense is no name for a certificate."""
    named = [urlsplit(settings.public_url).hostname or "", *settings.allowed_hosts]
    return [name.lower() for name in named if name and name.isascii() and "*" not in name]
