"""Requests to the public API, and feeds that survive a dropped connection."""

import contextlib
import json
import re
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any, cast

import httpx

from orchestra_cli import ids, output, sse
from orchestra_cli.errors import BusyError, CliError, UnavailableError, UsageError, from_problem
from orchestra_cli.target import Target

TIMEOUT = httpx.Timeout(30.0, connect=5.0)
# The server sends a comment every 15 s; three of them missing means that the connection is dead.
FEED_TIMEOUT = httpx.Timeout(45.0, connect=5.0)
ATTEMPTS = 4
# A short interruption is not worth a message.
SILENT_ATTEMPTS = 3
# How long a feed is tried again without having heard anything before we give up.
FEED_PATIENCE_SECONDS = 120.0
# How long we wait for room in a queue.
BUSY_PATIENCE_SECONDS = 120.0
PAGE = 200
_SEGMENT = re.compile(r"[A-Za-z0-9_.:~-]+")

_Body = Mapping[str, Any] | None


class Client:
    """One connection pool to one instance."""

    def __init__(self, target: Target) -> None:
        self._http = httpx.Client(
            base_url=target.url,
            headers={"authorization": f"Bearer {target.key}", "user-agent": "orchestra-cli/2.0.0"},
            timeout=TIMEOUT,
            # A proxy of the system is for addresses elsewhere.
            trust_env=not _is_local(target.url),
        )
        self.url = target.url

    def close(self) -> None:
        self._http.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        body: _Body = None,
        query: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> Any:
        """The decoded answer; None when it is empty. Raises CliError with what the server says.

        A request that may be repeated (a read, or one with an idempotency key) is tried again
        while the instance does not answer; any that was refused for want of room, after the time
        that the instance asks for.
        """
        headers = {"idempotency-key": idempotency_key} if idempotency_key else {}
        repeatable = method in {"GET", "DELETE", "PUT"} or idempotency_key is not None
        begun = ids.monotonic()
        while True:
            try:
                return self._repeat(method, path, body, query, headers, repeatable=repeatable)
            except BusyError as error:
                if ids.monotonic() + error.retry_after > begun + BUSY_PATIENCE_SECONDS:
                    raise
                output.note(f"{error.message} Trying again in {error.retry_after:g} s.")
                ids.wait(error.retry_after)

    def _repeat(
        self,
        method: str,
        path: str,
        body: _Body,
        query: Mapping[str, Any] | None,
        headers: dict[str, str],
        *,
        repeatable: bool,
    ) -> Any:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._send(method, path, body, query, headers)
            except BusyError:
                raise
            except UnavailableError:
                if not repeatable or attempt == ATTEMPTS:
                    raise
                ids.pause(attempt)
        raise AssertionError("the loop above returns or raises")

    def pages(self, path: str, query: Mapping[str, Any], limit: int) -> Iterator[Any]:
        """Up to `limit` items of a list, page by page."""
        cursor: str | None = None
        while limit > 0:
            asked = {**query, "limit": min(limit, PAGE), "cursor": cursor}
            answer = self.request("GET", path, query=asked)
            items = answer["items"][:limit]
            yield from items
            limit -= len(items)
            cursor = answer.get("next_cursor")
            if cursor is None:
                return

    def follow(self, path: str, *, cursor: str | None = None) -> Iterator[sse.Event]:
        """The events of a feed, resumed after the last one seen whenever the connection drops.

        Ends when the caller stops reading; raises UnavailableError after two minutes of silence.
        """
        last, heard, attempt = cursor, ids.monotonic(), 0
        while True:
            try:
                for event in self._feed(path, last):
                    last, heard, attempt = event.id or last, ids.monotonic(), 0
                    yield event
            except UnavailableError as error:
                if ids.monotonic() - heard > FEED_PATIENCE_SECONDS:
                    raise
                if attempt == SILENT_ATTEMPTS:
                    output.note(f"{error.message} Trying again …")
            attempt += 1
            ids.pause(attempt)

    def upload(
        self, path: str, content: Iterator[bytes], *, size: int | None, media_type: str, sha256: str
    ) -> Any:
        """Sends a large body a piece at a time; the decoded answer."""
        headers = {"content-type": media_type}
        if size is not None:
            headers["content-length"] = str(size)
        query = {"sha256": sha256} if sha256 else {}
        with _translated(self.url):
            response = self._http.put(
                _checked(path), content=content, params=query, headers=headers
            )
        if response.is_error:
            raise _error(response)
        return response.json()

    def download(self, path: str, take: Callable[[bytes], object]) -> None:
        """Hands a large answer on a piece at a time."""
        with _translated(self.url), self._http.stream("GET", _checked(path)) as response:
            if response.is_error:
                response.read()
                raise _error(response)
            for piece in response.iter_bytes():
                take(piece)

    def _feed(self, path: str, cursor: str | None) -> Iterator[sse.Event]:
        headers = {"accept": "text/event-stream"}
        if cursor:
            headers["last-event-id"] = cursor
        with (
            _translated(self.url),
            self._http.stream(
                "GET", _checked(path), headers=headers, timeout=FEED_TIMEOUT
            ) as response,
        ):
            if response.is_error:
                response.read()
                raise _error(response)
            yield from sse.parse(response.iter_lines())

    def _send(
        self,
        method: str,
        path: str,
        body: _Body,
        query: Mapping[str, Any] | None,
        headers: dict[str, str],
    ) -> Any:
        given = {name: value for name, value in (query or {}).items() if value is not None}
        content = None if body is None else _encoded(body)
        headers = headers if body is None else {**headers, "content-type": "application/json"}
        with _translated(self.url):
            response = self._http.request(
                method, _checked(path), content=content, params=given, headers=headers
            )
        if response.is_error:
            raise _error(response)
        return response.json() if response.content else None


def _encoded(body: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except ValueError as error:
        raise UsageError(f"This cannot be sent: {error}.") from error


def _checked(path: str) -> str:
    """The path of what has been named; nobody gets elsewhere by a name with a slash."""
    for segment in path.split("/")[1:]:
        if not _SEGMENT.fullmatch(segment) or set(segment) == {"."}:
            raise UsageError(f"{segment!r} is no name or id.")
    return path


@contextlib.contextmanager
def _translated(url: str) -> Generator[None]:
    try:
        yield
    except httpx.TimeoutException as error:
        raise UnavailableError(f"{url} did not answer in time.") from error
    except httpx.TransportError as error:
        raise UnavailableError(f"{url} does not answer: {error}") from error


def _error(response: httpx.Response) -> CliError:
    try:
        problem: Any = response.json()
    except json.JSONDecodeError:
        problem = None
    found = cast("dict[str, Any]", problem) if isinstance(problem, dict) else {}
    return from_problem(response.status_code, found, _retry_after(response))


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds; None without one, or for a date, which our server does not send."""
    try:
        return max(0.1, float(response.headers["retry-after"]))
    except (KeyError, ValueError):
        return None


def _is_local(url: str) -> bool:
    return httpx.URL(url).host in {"localhost", "127.0.0.1", "::1"}
