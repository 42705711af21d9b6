"""Keeps gRPC's events coming while the event loop is busy.

For each event, grpc.aio's thread writes one byte to a socket pair, and the loop reads one byte in
each of its turns, though it then handles all events there are. A socket pair holds 278 such bytes.
When they are full the thread waits, and from then on gRPC brings one event in each turn of the
loop: with ten thousand agents the results of tasks came half a minute late, while the processor had
time. A byte that finds no room is not needed, as those before it wake the loop: so writing must
not wait (docs/decisions/0014).
"""

import socket
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any


@contextmanager
def never_waiting() -> Generator[None]:
    """Around the creation of the first server or channel, which makes the socket pair."""
    make = socket.socketpair

    def make_pair(*arguments: Any) -> tuple[socket.socket, socket.socket]:
        reader, writer = make(*arguments)
        writer.setblocking(False)
        return reader, writer

    socket.socketpair = make_pair
    try:
        yield
    finally:
        socket.socketpair = make
