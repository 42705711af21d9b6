"""The blobs of an instance, in memory, behind the same HTTP door."""

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

_ROOT = "/api/blobs"
_PIECE_BYTES = 256 * 1024


class BlobStore:
    """What is stored, by its name. `failing`: so many requests are answered with 503.

    `cutting`: so many answers break off half way. `max_bytes` is the size of one blob.
    """

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self.media_types: dict[str, str] = {}
        self.max_bytes = 100 * 1024 * 1024
        self.failing = 0
        self.cutting = 0
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self._port = 0

    def put(
        self, content: bytes, *, media_type: str = "application/octet-stream"
    ) -> dict[str, str]:
        """Store something for an input; return the value that refers to it."""
        name = hashlib.sha256(content).hexdigest()
        self.contents[name], self.media_types[name] = content, media_type
        return {"$blob": name}

    def get(self, reference: Mapping[str, Any]) -> bytes:
        """Return the content that a result refers to; raises KeyError if there is none."""
        return self.contents[reference["$blob"]]

    @property
    def url(self) -> str:
        """Address of the instance over HTTP."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listen, on the same port as before if there was one."""
        self._server = _Server(("127.0.0.1", self._port), partial(_Door, self))
        self._port = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop listening; blobs are remembered."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            self._server = self._thread = None


class _Server(ThreadingHTTPServer):
    """One thread for each connection, none of which anybody waits for."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that goes away is part of a test."""


class _Door(BaseHTTPRequestHandler):
    """The routes of blobs."""

    protocol_version = "HTTP/1.1"

    def __init__(self, store: BlobStore, *arguments: Any) -> None:
        self._store = store
        super().__init__(*arguments)

    def do_PUT(self) -> None:
        """Store the body."""
        if not self._may_go_on():
            return
        content = bytearray()
        for piece in self._body():
            content += piece
            if len(content) > self._store.max_bytes:
                said = f"A blob may have {self._store.max_bytes} bytes."
                self._refuse(413, "blob_too_large", said)
                return
        kind = self.headers.get("content-type", "")
        name = self._store.put(bytes(content), media_type=kind)["$blob"]
        self._answer(201, {"blob": name, "size": len(content), "media_type": kind})

    def do_GET(self) -> None:
        """Give a blob out, or what follows its first bytes."""
        found = self._store.contents.get(self._name())
        if not self._may_go_on():
            return
        if found is None:
            self._refuse(404, "blob_not_found", "There is no such blob, or you may not see it.")
            return
        start = int(self.headers.get("range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        if start and start >= len(found):
            self._refuse(416, "range_not_satisfiable", f"The blob has {len(found)} bytes.")
            return
        self.send_response(206 if start else 200)
        self.send_header("content-length", str(len(found) - start))
        self.end_headers()
        cut = self._store.cutting > 0
        self._store.cutting -= cut
        self.wfile.write(found[start : (start + len(found)) // 2 if cut else None])
        self.close_connection = cut

    def do_DELETE(self) -> None:
        """Forget a blob."""
        if not self._may_go_on():
            return
        if self._store.contents.pop(self._name(), None) is None:
            self._refuse(404, "blob_not_found", "There is no such blob, or you may not see it.")
            return
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _name(self) -> str:
        return urlsplit(self.path).path.removeprefix(f"{_ROOT}/")

    def _may_go_on(self) -> bool:
        if self._store.failing > 0:
            self._store.failing -= 1
            self._refuse(503, "unavailable", "A part of the system is away.")
        elif not self.headers.get("authorization", "").startswith("Bearer "):
            self._refuse(401, "unauthenticated", "Sign in, or send a valid API key.")
        elif not self.path.startswith(_ROOT):
            self._refuse(404, "not_found", "There is no such thing here.")
        else:
            return True
        return False

    def _body(self) -> Iterator[bytes]:
        if self.headers.get("transfer-encoding") != "chunked":
            left = int(self.headers.get("content-length", 0))
            while left > 0 and (piece := self.rfile.read(min(left, _PIECE_BYTES))):
                left -= len(piece)
                yield piece
            return
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _refuse(self, status: int, code: str, detail: str) -> None:
        self.close_connection = True  # the rest of the body is not read
        self._answer(status, {"status": status, "code": code, "detail": detail})

    def _answer(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
