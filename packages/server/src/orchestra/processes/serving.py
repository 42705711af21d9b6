"""Serves an ASGI application with Granian in this process: no parent, no fork, one event loop."""

import asyncio
import resource
import signal
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import structlog
import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings, HTTP2Settings
from granian.log import LogLevels
from granian.server.embed import Server

from orchestra.processes import garbage

log = structlog.get_logger(__name__)

BACKLOG = 4_096
# Connections at the same time; an open feed holds one, or a stream of one.
MAX_CONNECTIONS = 65_536
MAX_STREAMS = 16_384
# The least that hyper allows: every idle connection of HTTP/1.1 keeps one, headers have to fit.
READ_BUFFER_BYTES = 8_192
STOP_SECONDS = 5.0

Application = Callable[[Any, Any, Any], Awaitable[None]]


def run(main: Coroutine[Any, Any, int]) -> int:
    """Runs a process's main coroutine on the fast event loop, to its end."""
    allow_many_files()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


def allow_many_files() -> None:
    """Every open feed and every agent is a file; the soft limit is often only 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def stop_signal() -> asyncio.Event:
    """An event that SIGTERM or SIGINT sets."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    return stopping


async def serve(
    application: Application,
    listen: str,
    *,
    stopping: asyncio.Event,
    before_stop: Callable[[], Awaitable[None]],
) -> None:
    """Listens at `unix:<path>` or `<host>:<port>` until `stopping`, then ends quickly."""
    garbage.spare_what_is_here()
    server = _server(application, listen)
    serving = asyncio.get_running_loop().create_task(server.serve())
    stopped = asyncio.get_running_loop().create_task(stopping.wait())
    await asyncio.wait({serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if serving.done():
        serving.result()
        raise RuntimeError(f"the server at {listen} ended by itself")
    await before_stop()
    server.stop()
    try:
        await asyncio.wait_for(serving, timeout=STOP_SECONDS)
    except TimeoutError:
        log.warning("connections were cut", listen=listen)


def _server(application: Application, listen: str) -> Server:
    address: dict[str, Any]
    if listen.startswith("unix:"):
        path = Path(listen.removeprefix("unix:"))
        path.unlink(missing_ok=True)
        address = {"uds": path}
    else:
        host, _, port = listen.rpartition(":")
        address = {"address": host.strip("[]"), "port": int(port)}
    return Server(
        application,
        **address,
        interface=Interfaces.ASGINL,
        http=HTTPModes.auto,
        websockets=False,
        backlog=BACKLOG,
        backpressure=MAX_CONNECTIONS,
        http1_settings=HTTP1Settings(max_buffer_size=READ_BUFFER_BYTES),
        http2_settings=HTTP2Settings(max_concurrent_streams=MAX_STREAMS),
        log_enabled=True,
        log_level=LogLevels.error,
    )
