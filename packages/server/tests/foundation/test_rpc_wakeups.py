"""gRPC's events reach a busy event loop in time, seen in a process of its own.

The socket pair belongs to the process: whoever used grpc.aio first has made it.
"""

import socket
import subprocess
import sys

from orchestra.foundation.rpc_wakeups import never_waiting

STREAMS = 1_000
# A server, and streams to it from the same process, while the loop has other work in each turn.
PROGRAM = f"""
import asyncio, contextlib, hashlib, sys
import grpc.aio
from orchestra.foundation.rpc_wakeups import never_waiting

class Echo(grpc.GenericRpcHandler):
    def service(self, call):
        return grpc.stream_stream_rpc_method_handler(echo)

async def echo(requests, context):
    async for request in requests:
        yield request

async def exchange(stream):
    await stream.write(b"x")
    await stream.read()

async def main(guard):
    with guard:
        server = grpc.aio.server()
    server.add_generic_rpc_handlers((Echo(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    turns, loop = 0, asyncio.get_running_loop()

    def work():
        nonlocal turns
        turns += 1
        hashlib.pbkdf2_hmac("sha256", b"", b"", 2_000)
        loop.call_soon(work)

    async with grpc.aio.insecure_channel(f"127.0.0.1:{{port}}") as channel:
        streams = [channel.stream_stream("/test.Echo/Say")() for _ in range({STREAMS})]
        await asyncio.gather(*map(exchange, streams))
        work()
        await asyncio.gather(*map(exchange, streams))
        print(turns, flush=True)
    await server.stop(None)

asyncio.run(main(never_waiting() if sys.argv[1] == "guarded" else contextlib.nullcontext()))
"""


def turns(how: str) -> int:
    """How often the loop went round until all streams were answered."""
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, how],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return int(ran.stdout)


def test_a_busy_loop_gets_all_events_that_there_are_in_each_turn() -> None:
    assert turns("guarded") < STREAMS / 4


def test_without_the_guard_it_gets_about_one() -> None:
    """When gRPC does better by itself, the guard can go."""
    assert turns("bare") > STREAMS


def test_the_guard_is_for_the_pair_that_is_made_within() -> None:
    with never_waiting():
        reader, writer = socket.socketpair()
    with reader, writer:
        assert reader.getblocking()
        assert not writer.getblocking()
    reader, writer = socket.socketpair()
    with reader, writer:
        assert writer.getblocking()
