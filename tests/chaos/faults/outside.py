"""What comes from outside: nonsense at every door, and readers that do not read."""

import contextlib
import http.client
import json
import socket
from collections.abc import Generator
from urllib.parse import urlsplit

from chaos.faults.fault import Fault
from chaos.stage import Size, Stage

NONSENSE_ROUNDS = 150
NONSENSE_BYTES = 4_000
SLOW_READERS = 40  # with the others fewer than one caller may have open
CHUNK = 2**20
RPC = "/ai_orchestra.v2.ModernAgentService/"
CONNECT_SECONDS = 5.0


def _nonsense(stage: Stage) -> None:
    """HTTP, gRPC and NATS get bytes that mean nothing; no process may even restart for that."""
    stage.wait_for_load(0.1, 0.2)
    before = stage.pids()
    for _ in range(NONSENSE_ROUNDS):
        noise = stage.random.randbytes(stage.random.randrange(NONSENSE_BYTES))
        with contextlib.suppress(OSError, http.client.HTTPException):
            stage.random.choice((_raw, _json, _grpc, _nats))(stage, noise)
    if (after := stage.pids()) != before:
        raise AssertionError(f"nonsense has ended a process: {before} became {after}")


def _raw(stage: Stage, noise: bytes) -> None:
    with _connected(stage.product.url) as door:
        door.sendall(noise)


def _json(stage: Stage, noise: bytes) -> None:
    _post(stage, "/api/tasks", noise, "application/json")


def _grpc(stage: Stage, noise: bytes) -> None:
    """A frame of the right length around bytes that are no message."""
    name = stage.random.choice(("RegisterAgent", "TaskBidirectionalStream", "StreamHeartbeat"))
    frame = b"\0" + len(noise).to_bytes(4) + noise
    _post(stage, RPC + name, frame, "application/grpc")


def _post(stage: Stage, path: str, body: bytes, kind: str) -> None:
    parts = urlsplit(stage.product.url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=CONNECT_SECONDS)
    headers = {
        "authorization": f"Bearer {stage.product.key}",
        "content-type": kind,
        "te": "trailers",
    }
    try:
        connection.request("POST", path, body, headers)
        connection.getresponse().read()
    finally:
        connection.close()


def _nats(stage: Stage, noise: bytes) -> None:
    """As somebody with the password might publish it, on subjects that we listen to."""
    record = json.loads((stage.product.data_dir / "runtime.json").read_text())
    parts = urlsplit(str(record["settings"]["nats_url"]))
    subject = stage.random.choice(
        (
            f"tasks.normal.{stage.queue}",
            "control.wake",
            "control.run",
            "control.attached",
            "control.finished",
            f"events.task.{'0' * 8}-0000-7000-8000-{'0' * 12}",
        )
    )
    login = json.dumps({"user": parts.username, "pass": parts.password, "verbose": False})
    with _connected(f"http://{parts.hostname}:{parts.port}") as door:
        door.recv(CHUNK)
        door.sendall(
            f"CONNECT {login}\r\nPUB {subject} {len(noise)}\r\n".encode() + noise + b"\r\nPING\r\n"
        )
        door.recv(CHUNK)


@contextlib.contextmanager
def _connected(url: str) -> Generator[socket.socket]:
    parts = urlsplit(url)
    address = parts.hostname or "", parts.port or 0
    with socket.create_connection(address, timeout=CONNECT_SECONDS) as door:
        yield door


def _slow_readers(stage: Stage) -> None:
    """They ask for every event of their owner, and never read one."""
    stage.wait_for_load(0.1, 0.2)
    with contextlib.ExitStack() as stack:
        for _ in range(SLOW_READERS):
            door = stack.enter_context(_connected(stage.product.url))
            door.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            request = (
                "GET /api/events/stream HTTP/1.1\r\nhost: localhost\r\n"
                f"authorization: Bearer {stage.product.key}\r\n\r\n"
            )
            door.sendall(request.encode())
        stage.wait_for_load(0.9, 1.0)


FAULTS = (
    Fault(
        name="nonsense",
        about="bytes that mean nothing at the doors of HTTP, gRPC and NATS",
        run=_nonsense,
    ),
    Fault(
        name="slow-readers",
        about="40 readers of a feed that never read",
        run=_slow_readers,
        size=Size(submits=300, rate=30.0),
    ),
)
