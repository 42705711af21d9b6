"""The one way out leads to public addresses only, whatever they are dressed up as."""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp.resolver import ThreadedResolver
from orchestra.foundation import egress
from orchestra.foundation.egress import (
    AddressRefused,
    Egress,
    ReplyTooLarge,
    TimedOut,
    Timeouts,
    Unreachable,
    is_internal,
)
from orchestra.foundation.settings import Settings

QUICK = Timeouts(connect=2, first_byte=0.3, between=0.3)


INTERNAL = """
127.0.0.1 127.255.255.254 0.0.0.0 10.1.2.3 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1
100.100.100.200 192.0.0.192 198.18.0.1 168.63.129.16 224.0.0.1 240.0.0.1 255.255.255.255
:: ::1 fe80::1 fc00::1 fd00:ec2::254 ff02::1 2001:db8::1
::ffff:127.0.0.1 ::ffff:a9fe:a9fe ::127.0.0.1 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::a00:1
2002:7f00:1:: 2002:a9fe:a9fe::1 2001:0:7f00:1::1
"""


@pytest.mark.parametrize("address", INTERNAL.split())
def test_internal_addresses_are_known_in_every_dress(address: str) -> None:
    assert is_internal(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111"])
def test_public_addresses_are_not_refused(address: str) -> None:
    assert not is_internal(ipaddress.ip_address(address))


REFUSED = """
http://example.com/|https://127.0.0.1/|https://127.0.0.1:443/|https://[::1]/|https://[fe80::1%25eth0]/
https://[::ffff:127.0.0.1]/|https://[::ffff:7f00:1]/|https://[64:ff9b::7f00:1]/
https://169.254.169.254/latest/meta-data/|https://１２７.０.０.１/|https://a:b@example.com/
https://example.com/#x|ftp://example.com/|//example.com/|example.com|https:///x
https://exa mple.com/|https://example.com:0/|https://example.com:99999/|https://example.com\\@127.0.0.1/
"""
CONTROL = ["https://example.com/\r\nHost: x", "https://example.com/\0", "https://" + "a" * 3000]


@pytest.mark.parametrize("url", [*REFUSED.strip().replace("\n", "|").split("|"), *CONTROL])
def test_urls_that_lead_inside_or_nowhere_are_refused(url: str) -> None:
    with pytest.raises(AddressRefused):
        Egress(Settings()).check_url(url)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "127.1",
        "0x7f.1",
        "0x7f000001",
        "2130706433",
        "017700000001",
        "127.0.0.1.",
        "ip6-localhost",
    ],
)
def test_names_and_numbers_that_resolve_inside_are_refused_at_use(host: str) -> None:
    async def body(out: Egress) -> None:
        with pytest.raises((AddressRefused, Unreachable)):
            await out.send("GET", f"https://{host}/", headers={}, timeouts=QUICK)

    with_egress(Settings(), body)


def test_a_name_that_answers_differently_the_second_time_gains_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The address is checked where the connection is made, after any name server has spoken."""
    asked: list[str] = []

    async def rebinding(*_: object, **__: object) -> list[dict[str, Any]]:
        asked.append("name")
        host = "93.184.216.34" if len(asked) == 1 else "127.0.0.1"
        return [
            {
                "hostname": "x",
                "host": host,
                "port": 443,
                "family": socket.AF_INET,
                "proto": 0,
                "flags": 0,
            }
        ]

    async def body(out: Egress) -> None:
        monkeypatch.setattr(ThreadedResolver, "resolve", rebinding)
        connected: list[Any] = []
        loop = asyncio.get_running_loop()

        async def connect(_sock: object, address: Any) -> None:
            connected.append(address)
            raise ConnectionRefusedError

        monkeypatch.setattr(loop, "sock_connect", connect)
        with pytest.raises(Unreachable):
            await out.send("GET", "https://rebind.example/", headers={}, timeouts=QUICK)
        with pytest.raises(AddressRefused, match="private network"):
            await out.send("GET", "https://rebind.example/", headers={}, timeouts=QUICK)
        assert [address[0] for address in connected] == ["93.184.216.34"]

    with_egress(Settings(), body)


def test_the_last_gate_holds_even_if_a_resolver_lies() -> None:
    for address in ("127.0.0.1", "169.254.169.254"):
        info = (socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, 443))
        with pytest.raises(AddressRefused):
            egress._checked_socket(info)  # pyright: ignore[reportPrivateUsage]


def test_a_listed_host_is_reached_over_http_and_its_redirects_are_not_followed() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\n"
            b"Content-Length: 2\r\n\r\nok"
        )
        await writer.drain()

    async def body(out: Egress, port: int) -> None:
        async with await out.send("GET", f"http://127.0.0.1:{port}/", headers={}) as reply:
            assert (reply.status, await reply.read(10)) == (302, b"ok")
        with pytest.raises(AddressRefused):
            await out.send("GET", f"http://127.0.0.2:{port}/", headers={})

    with_server(serve, body)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", TimedOut),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", TimedOut),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n" + b"x" * 90, ReplyTooLarge),
        (b"nonsense\r\n\r\n", Unreachable),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", Unreachable),
    ],
)
def test_answers_that_hang_or_burst_are_bounded(answer: bytes, error: type[Exception]) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await reader.read()

    async def body(out: Egress, port: int) -> None:
        async def ask() -> None:
            url = f"http://127.0.0.1:{port}/"
            async with await out.send("GET", url, headers={}, timeouts=QUICK) as reply:
                await reply.read(50)

        with pytest.raises(error):
            await ask()

    with_server(serve, body)


def with_egress(settings: Settings, test: Callable[[Egress], Awaitable[None]]) -> None:
    async def body() -> None:
        out = Egress(settings)
        try:
            await test(out)
        finally:
            await out.close()

    asyncio.run(body())


def with_server(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    test: Callable[[Egress, int], Awaitable[None]],
) -> None:
    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def body(out: Egress) -> None:
        server = await asyncio.start_server(guarded, "127.0.0.1", 0)
        async with server:
            await test(out, server.sockets[0].getsockname()[1])

    with_egress(Settings(egress_allowed_hosts=("127.0.0.1",)), body)
