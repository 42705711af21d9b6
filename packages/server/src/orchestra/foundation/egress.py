"""The one way out: every URL that somebody typed in (provider, webhook) is called through here.

An address inside our own network is refused wherever it appears: written in the URL in any
notation, as the answer of a name server, or wrapped in an IPv6 address. The check happens on the
very address that a connection is made to, so a name that answers differently the second time gains
nothing. Redirects are not followed. Local hosts are reached only if an administrator lists them.
"""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from io import BytesIO
from types import TracebackType
from typing import Any, ClassVar, Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from orchestra.foundation.errors import OrchestraError, Upstream
from orchestra.foundation.settings import Settings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_URL = 2_048
MAX_CONNECTIONS = 1_000
RESOLVE_SECONDS = 5.0
LARGE_BODY = 256 * 1024
_NAT64 = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))
_COMPATIBLE = ipaddress.ip_network("::/96")
# Global by registry or by the standard library's table, yet the clouds' own: Azure's host agent,
# Oracle's metadata and what else is for protocols (RFC 6890).
_CLOUD = (ipaddress.ip_network("168.63.129.16/32"), ipaddress.ip_network("192.0.0.0/24"))


class AddressRefused(OrchestraError):
    """This address is not allowed; an administrator can list it in egress_allowed_hosts."""

    code: ClassVar[str] = "address_refused"
    status: ClassVar[HTTPStatus] = HTTPStatus.UNPROCESSABLE_ENTITY


class Unreachable(Upstream):
    """The other side cannot be reached."""

    code: ClassVar[str] = "unreachable"


class TimedOut(Upstream):
    """The other side did not answer in time."""

    code: ClassVar[str] = "timeout"
    status: ClassVar[HTTPStatus] = HTTPStatus.GATEWAY_TIMEOUT


class ReplyTooLarge(Upstream):
    """The other side answered with more than we take."""

    code: ClassVar[str] = "reply_too_large"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds to wait: for a connection, for the answer's head, and for each further piece."""

    connect: float = 10.0
    first_byte: float = 120.0
    between: float = 60.0


class Reply:
    """An answer whose head has come; leaving its `async with` frees or closes the connection."""

    def __init__(self, response: aiohttp.ClientResponse, timeouts: Timeouts) -> None:
        self._response = response
        self._timeouts = timeouts
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives; raises TimedOut or Unreachable when it breaks off."""
        while chunk := await self.next_chunk(self._timeouts.between):
            yield chunk

    async def next_chunk(self, seconds: float) -> bytes:
        """What has arrived next, empty at the end; raises TimedOut or Unreachable."""
        try:
            async with asyncio.timeout(seconds):
                return await self._response.content.readany()
        except TimeoutError as error:
            raise TimedOut(f"Nothing came for {seconds:g} seconds.") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unreachable("The connection broke off.") from error

    async def read(self, limit: int) -> bytes:
        """The whole body; raises ReplyTooLarge above `limit` bytes."""
        body = bytearray()
        async for chunk in self.chunks():
            body += chunk
            if len(body) > limit:
                raise ReplyTooLarge
        return bytes(body)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A connection with an unread rest is closed, which tells the other side to stop.
        self._response.close()


class Egress:
    """Outgoing HTTP for one process; open inside a running event loop, close at its end."""

    def __init__(self, settings: Settings) -> None:
        own_model = URL(settings.model_url).authority if settings.model_url else ""
        listed = (*settings.egress_allowed_hosts, own_model)
        self._allowed = frozenset(item.lower().rstrip(".") for item in listed if item)
        self._guarded: aiohttp.ClientSession | None = None
        self._local: aiohttp.ClientSession | None = None

    def check_url(self, url: str) -> URL:
        """The URL as it will be called; raises AddressRefused, saying why."""
        parsed = _parse(url)
        if self._is_allowed(parsed):
            return parsed
        if parsed.scheme != "https":
            raise AddressRefused(
                "Use https; http is for hosts listed in egress_allowed_hosts only."
            )
        literal = _literal(parsed.host or "")
        if literal is not None and is_internal(literal):
            raise AddressRefused(f"{parsed.host} is inside a private network.")
        return parsed

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        timeouts: Timeouts | None = None,
    ) -> Reply:
        """Sends a request and waits for the answer's head.

        Raises AddressRefused, TimedOut or Unreachable.
        """
        limits = timeouts or Timeouts()
        parsed = self.check_url(url)
        try:
            async with asyncio.timeout(limits.first_byte):
                response = await self._session(parsed).request(
                    method,
                    parsed,
                    headers={"Accept-Encoding": "identity", **headers},
                    data=_payload(body),
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(total=None, connect=limits.connect),
                )
        except aiohttp.ConnectionTimeoutError as error:
            raise Unreachable(f"No connection within {limits.connect:g} seconds.") from error
        except TimeoutError as error:
            raise TimedOut(f"No answer within {limits.first_byte:g} seconds.") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _translated(error) from error
        return Reply(response, limits)

    async def close(self) -> None:
        for session in (self._guarded, self._local):
            if session is not None:
                await session.close()

    def _is_allowed(self, url: URL) -> bool:
        host = (url.raw_host or "").lower().rstrip(".")
        shown = f"[{host}]" if ":" in host else host
        return not self._allowed.isdisjoint({host, shown, f"{shown}:{url.port}"})

    def _session(self, url: URL) -> aiohttp.ClientSession:
        if self._is_allowed(url):
            self._local = self._local or _open_session(aiohttp.TCPConnector(limit=MAX_CONNECTIONS))
            return self._local
        if self._guarded is None:
            connector = aiohttp.TCPConnector(
                limit=MAX_CONNECTIONS,
                resolver=_CheckedResolver(),
                use_dns_cache=False,
                socket_factory=_checked_socket,
            )
            self._guarded = _open_session(connector)
        return self._guarded


def is_internal(address: Address) -> bool:
    """Whether it is, or wraps, an address that is not on the public internet."""
    if not address.is_global or any(address in network for network in _CLOUD):
        return True
    if address.is_multicast or address.is_reserved or address.is_unspecified:
        return True
    return any(is_internal(inner) for inner in _wrapped(address))


def _wrapped(address: Address) -> list[Address]:
    """The IPv4 addresses that an IPv6 address stands for (RFC 4291, 3056, 4380, 6052, 8215)."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    inner: list[Address | None] = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if any(address in network for network in (*_NAT64, _COMPATIBLE)):
        inner.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return [item for item in inner if item is not None]


def _parse(url: str) -> URL:
    if len(url) > MAX_URL or not url.isprintable() or "\\" in url or " " in url:
        raise AddressRefused("This is not a URL.")
    try:
        parsed = URL(url)
        usable = parsed.scheme in {"http", "https"} and parsed.raw_host and parsed.port
    except ValueError as error:
        raise AddressRefused("This is not a URL.") from error
    if not usable:
        raise AddressRefused("A URL begins with https:// and a host name.")
    if parsed.user or parsed.password or parsed.fragment:
        raise AddressRefused("A URL here has no user name, password or fragment in it.")
    return parsed


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


class _CheckedResolver(AbstractResolver):
    """Names resolve to public addresses only: one internal answer among them refuses the name."""

    def __init__(self) -> None:
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        async with asyncio.timeout(RESOLVE_SECONDS):
            found = await self._resolver.resolve(host, port, family)
        for item in found:
            address = _literal(item["host"])
            if address is None or is_internal(address):
                raise AddressRefused(f"{host} leads into a private network.")
        return found

    async def close(self) -> None:
        await self._resolver.close()


def _checked_socket(info: Any) -> socket.socket:
    """The last gate, whatever came before: no socket for an internal address."""
    family, kind, protocol, _, target = info
    address = _literal(str(target[0]))
    if address is None or is_internal(address):
        raise AddressRefused(f"{target[0]} is inside a private network.")
    return socket.socket(family, kind, protocol)


def _open_session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": "ai-orchestra/2"},
        trust_env=False,
    )


def _payload(body: bytes | None) -> bytes | BytesIO | None:
    """A large body is sent in pieces, so that it does not hold up everything else."""
    return body if body is None or len(body) <= LARGE_BODY else BytesIO(body)


def _translated(error: Exception) -> OrchestraError:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Unreachable("The host name is not known.")
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return Unreachable("The certificate of the other side is not valid.")
    if isinstance(error, aiohttp.ClientConnectorError):
        return Unreachable("The connection was refused.")
    return Unreachable("The connection broke off.")
