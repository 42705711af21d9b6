"""Requests to the instance with the credential of a run, over plain `http.client`.

Blocking on purpose: plain functions use it as it is, async handlers in a thread.
"""

import http.client
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from orchestra_sdk._errors import BlobError
from orchestra_sdk._target import Target

_TIMEOUT_SECONDS = 60.0  # without anything being sent or received
_MAX_PROBLEM_BYTES = 64 * 1024
_RETRYABLE = frozenset({408, 425, 429, 500, 502, 503, 504})
_BROKEN = (OSError, http.client.HTTPException)


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where requests go, and as whom."""

    base_url: Callable[[], str]
    token: Callable[[], str]
    target: Callable[[], Target]


class Exchange:
    """One request and its answer; `abort` from another thread ends it at once."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._connection: http.client.HTTPConnection | None = None
        self._aborted = threading.Event()

    def send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Iterable[bytes] | None = None,
    ) -> http.client.HTTPResponse:
        """Return the answer before its body; raises `BlobError` for a refusal."""
        base = urlsplit(self._address.base_url())
        self._connection = connection = self._connect(base.scheme, base.netloc)
        given = {"authorization": f"Bearer {self._address.token()}", **(headers or {})}
        chunked = body is not None and "content-length" not in given
        if chunked:
            given["transfer-encoding"] = "chunked"
        try:
            self._request(connection, method, base.path + path, given, body, chunked=chunked)
            answer = connection.getresponse()
            if answer.status < 400:
                return answer
            raise _refusal(answer.status, answer.read(_MAX_PROBLEM_BYTES))
        except _BROKEN as error:
            raise unreachable(error) from error

    def read(self, answer: http.client.HTTPResponse, size: int) -> bytes:
        """Return the next bytes of the body, none at its end; raises `BlobError`."""
        try:
            piece = answer.read(size)
        except _BROKEN as error:
            raise unreachable(error) from error
        if not piece and answer.length:
            raise unreachable(http.client.IncompleteRead(b"", answer.length))
        return piece

    @property
    def is_aborted(self) -> bool:
        """Whether nobody waits for it any more."""
        return self._aborted.is_set()

    def abort(self) -> None:
        """Break the connection off, also one that is still to be made."""
        self._aborted.set()
        connection = self._connection
        if connection is not None and connection.sock is not None:
            try:
                connection.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                return

    def pause(self, seconds: float) -> None:
        """Wait before the next attempt; raises `BlobError` when it was aborted."""
        if self._aborted.wait(seconds):
            raise unreachable(ConnectionAbortedError("the run has ended"))

    def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            self._connection.close()

    def _request(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: Iterable[bytes] | None,
        *,
        chunked: bool,
    ) -> None:
        connection.connect()
        if self._aborted.is_set():
            raise ConnectionAbortedError("the run has ended")
        try:
            connection.request(method, path, body, dict(headers), encode_chunked=chunked)
        except (BrokenPipeError, ConnectionResetError):
            return  # it may have answered before it had everything: a refusal

    def _connect(self, scheme: str, netloc: str) -> http.client.HTTPConnection:
        if scheme == "https":
            context = _tls(self._address.target())
            return http.client.HTTPSConnection(netloc, timeout=_TIMEOUT_SECONDS, context=context)
        if scheme != "http":
            raise BlobError("the instance has not said where its blobs are", code="no_blobs")
        return http.client.HTTPConnection(netloc, timeout=_TIMEOUT_SECONDS)


def unreachable(error: Exception) -> BlobError:
    """Return what a broken connection means."""
    said = str(error) or type(error).__name__
    return BlobError(f"the blob was not transferred: {said}", code="unavailable", retryable=True)


def _tls(target: Target) -> ssl.SSLContext:
    """Trust what the agent's own connection trusts."""
    context = ssl.create_default_context(cafile=target.ca_file)
    if target.server_name:  # one pinned certificate, trusted under any address
        context.check_hostname = False
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _refusal(status: int, body: bytes) -> BlobError:
    try:
        problem: Any = json.loads(body)
        said, code = str(problem["detail"]), str(problem["code"])
    except (ValueError, KeyError, TypeError):
        said, code = f"the instance answered {status}", "refused"
    return BlobError(said, code=code, retryable=status in _RETRYABLE)
