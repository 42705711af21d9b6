"""A plain HTTP/1.1 client: light, to leave the load core room, and blocking, to be exact."""

import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 30.0


class Api:
    """One kept connection to one address."""

    def __init__(self, url: str, key: str) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(
            parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS
        )
        self._path = parts.path.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def request(self, method: str, path: str, body: object = None) -> Any:
        """The decoded answer; raises RuntimeError with what the server says."""
        response = self._send(method, path, body)
        content = response.read()
        if response.status >= 400:
            raise RuntimeError(f"{method} {path}: {response.status} {content[:500]!r}")
        return json.loads(content) if content else None

    def stream(self, method: str, path: str, body: object = None) -> Iterator[bytes]:
        """Lines of an answer as they come. The connection is closed when the caller stops."""
        response = self._send(method, path, body)
        try:
            if response.status >= 400:
                raise RuntimeError(f"{method} {path}: {response.status} {response.read(500)!r}")
            while line := response.readline():
                yield line
        finally:
            self.close()

    def close(self) -> None:
        self._connection.close()

    def _send(self, method: str, path: str, body: object) -> http.client.HTTPResponse:
        content = None if body is None else json.dumps(body)
        self._connection.request(method, self._path + path, content, self._headers)
        return self._connection.getresponse()
