"""`ctx.blobs`: values too large for an input or a result, streamed with the credential of the run.

`SyncBlobs` does the work; `Blobs` does the same in a thread, for async handlers.
"""

import asyncio
import concurrent.futures
import contextlib
import hashlib
import json
import os
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, TypeVar, cast

from orchestra_sdk import _clock
from orchestra_sdk._errors import BlobError
from orchestra_sdk._http import Address, Exchange

PIECE_BYTES = 256 * 1024
MOST_IN_MEMORY = 64 * 1024 * 1024
_ANY_TYPE = "application/octet-stream"
_ATTEMPTS = 4
_PAUSE_SECONDS = 0.5  # doubled each time, and jittered
_LOOK_SECONDS = 0.5  # how soon a thread sees that the handler which it works for is gone
_NAME_LENGTH = 64

Reference: TypeAlias = Mapping[str, Any] | str
Content: TypeAlias = bytes | Path | BinaryIO | Iterable[bytes]

_T = TypeVar("_T")


def name_of(reference: Reference) -> str:
    """Return the name that `{"$blob": name}` or a plain name means; raises `BlobError`."""
    name = reference if isinstance(reference, str) else reference.get("$blob")
    if not isinstance(name, str) or len(name) != _NAME_LENGTH or not name.isalnum():
        raise BlobError(f"{reference!r} does not refer to a blob", code="bad_blob_reference")
    return name


class SyncBlobs:
    """What a plain function does with blobs. Every method raises `BlobError`."""

    def __init__(self, address: Address) -> None:
        self._address = address

    def put(self, content: Content, *, media_type: str = _ANY_TYPE) -> dict[str, str]:
        """Store bytes, a file, or what an iterable yields; return the value that refers to it.

        Bytes and paths are sent again when the instance does not answer, anything else once.
        """
        return self.put_with(Exchange(self._address), content, media_type=media_type)

    def get(self, reference: Reference, *, limit: int = MOST_IN_MEMORY) -> bytes:
        """Return the whole content; raises `BlobError` when it has more than `limit` bytes."""
        with contextlib.closing(Download(Exchange(self._address), name_of(reference))) as download:
            return download.all(limit)

    def stream(self, reference: Reference) -> Iterator[bytes]:
        """Yield the content in pieces; that it is the right one is known at the end only."""
        with contextlib.closing(Download(Exchange(self._address), name_of(reference))) as download:
            while piece := download.next():
                yield piece

    def save(self, reference: Reference, path: str | Path) -> None:
        """Write the content to a file, which is there when it is whole."""
        with contextlib.closing(Download(Exchange(self._address), name_of(reference))) as download:
            download.save(Path(path))

    def delete(self, reference: Reference) -> None:
        """Take back what this run has stored, and no task refers to."""
        with contextlib.closing(Exchange(self._address)) as exchange:
            exchange.send("DELETE", f"/api/blobs/{name_of(reference)}").read()

    def put_with(self, exchange: Exchange, content: Content, *, media_type: str) -> dict[str, str]:
        """Store it by this exchange, which can be aborted meanwhile."""
        again = isinstance(content, bytes | Path)
        for attempt in range(_ATTEMPTS):
            try:
                return _put_once(exchange, content, media_type)
            except BlobError as error:
                if not (again and error.retryable) or attempt == _ATTEMPTS - 1:
                    raise
                exchange.pause(_pause(attempt))
        raise AssertionError("the loop above returns or raises")


class Download:
    """A blob on its way here: broken off, it goes on where it was."""

    def __init__(self, exchange: Exchange, name: str) -> None:
        self.exchange = exchange
        self._name = name
        self._digest = hashlib.sha256()
        self._size = 0
        self._failures = 0
        self._answer: Any = None

    def next(self) -> bytes:
        """Return the next piece; none at the end, once the whole is what the name says."""
        while True:
            try:
                piece = self._read()
            except BlobError as error:
                self._answer = None
                self._failures += 1
                if not error.retryable or self._failures == _ATTEMPTS:
                    raise
                self.exchange.pause(_pause(self._failures))
                continue
            if piece:
                self._failures = 0
                self._digest.update(piece)
                self._size += len(piece)
            elif self._digest.hexdigest() != self._name:
                raise BlobError("what arrived is not what the name says", code="blob_mismatch")
            return piece

    def all(self, limit: int) -> bytes:
        """Return everything, if that is not more than `limit` bytes."""
        held = bytearray()
        while piece := self.next():
            held += piece
            if len(held) > limit:
                said = f"the blob has more than {limit} bytes: use stream() or save()"
                raise BlobError(said, code="blob_too_large")
        return bytes(held)

    def save(self, path: Path) -> None:
        """Write it beside its place, and move it there."""
        part = path.with_name(f".{path.name}.{_clock.new_id()}")
        try:
            with part.open("xb") as file:
                while piece := self.next():
                    file.write(piece)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def close(self) -> None:
        """Give the connection back."""
        self.exchange.close()

    def _read(self) -> bytes:
        if self._answer is None:
            self.exchange.close()
            headers = {"range": f"bytes={self._size}-"} if self._size else {}
            try:
                self._answer = self.exchange.send(
                    "GET", f"/api/blobs/{self._name}", headers=headers
                )
            except BlobError as error:
                if self._size and error.code == "range_not_satisfiable":
                    return b""  # it broke off after the last byte
                raise
        return self.exchange.read(self._answer, PIECE_BYTES)


class Blobs:
    """What an async handler does with blobs. Every method raises `BlobError`."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._sync = SyncBlobs(address)

    async def put(
        self, content: Content | AsyncIterable[bytes], *, media_type: str = _ANY_TYPE
    ) -> dict[str, str]:
        """Store bytes, a file, or what an iterable yields; return the value that refers to it.

        Bytes and paths are sent again when the instance does not answer, anything else once.
        """
        exchange = Exchange(self._address)
        given = _from_loop(exchange, content) if isinstance(content, AsyncIterable) else content
        return await _in_thread(
            exchange, lambda: self._sync.put_with(exchange, given, media_type=media_type)
        )

    async def get(self, reference: Reference, *, limit: int = MOST_IN_MEMORY) -> bytes:
        """Return the whole content; raises `BlobError` when it has more than `limit` bytes."""
        with contextlib.closing(self._download(reference)) as download:
            return await _in_thread(download.exchange, lambda: download.all(limit))

    async def stream(self, reference: Reference) -> AsyncIterator[bytes]:
        """Yield the content in pieces; that it is the right one is known at the end only."""
        with contextlib.closing(self._download(reference)) as download:
            while piece := await _in_thread(download.exchange, download.next):
                yield piece

    async def save(self, reference: Reference, path: str | Path) -> None:
        """Write the content to a file, which is there when it is whole."""
        with contextlib.closing(self._download(reference)) as download:
            await _in_thread(download.exchange, lambda: download.save(Path(path)))

    async def delete(self, reference: Reference) -> None:
        """Take back what this run has stored, and no task refers to."""
        await asyncio.to_thread(self._sync.delete, reference)

    def _download(self, reference: Reference) -> Download:
        return Download(Exchange(self._address), name_of(reference))


async def _in_thread(exchange: Exchange, function: Callable[[], _T]) -> _T:
    """Return what the function returns; a handler that is cancelled waits for nobody."""
    try:
        return await asyncio.to_thread(function)
    except asyncio.CancelledError:
        exchange.abort()
        raise


def _put_once(exchange: Exchange, content: Content, media_type: str) -> dict[str, str]:
    headers = {"content-type": media_type}
    with contextlib.ExitStack() as opened:
        opened.callback(exchange.close)
        if isinstance(content, Path):
            content = opened.enter_context(content.open("rb"))
            headers["content-length"] = str(os.fstat(content.fileno()).st_size)
        elif isinstance(content, bytes):
            headers["content-length"] = str(len(content))
        sending = _Sending(content)
        answer = exchange.send("PUT", "/api/blobs", headers=headers, body=sending)
        stored = json.loads(answer.read())["blob"]
    if stored != sending.digest.hexdigest():
        raise BlobError("what was stored is not what was sent", code="blob_mismatch")
    return {"$blob": stored}


class _Sending:
    """The content in pieces, hashed as it goes."""

    def __init__(self, content: Content) -> None:
        self.digest = hashlib.sha256()
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        for piece in _pieces(self._content):
            self.digest.update(piece)
            yield piece


def _pieces(content: Content) -> Iterator[bytes]:
    if isinstance(content, bytes):
        view = memoryview(content)
        for start in range(0, len(view), PIECE_BYTES):
            yield bytes(view[start : start + PIECE_BYTES])
    elif hasattr(content, "read"):
        file = cast("BinaryIO", content)
        while piece := file.read(PIECE_BYTES):
            yield piece
    else:
        yield from cast("Iterable[bytes]", content)


def _from_loop(exchange: Exchange, content: AsyncIterable[bytes]) -> Iterator[bytes]:
    """Yield to a thread what an async iterable yields on the present event loop."""
    loop, iterator = asyncio.get_running_loop(), aiter(content)

    async def following() -> bytes | None:
        return await anext(iterator, None)

    def pieces() -> Iterator[bytes]:
        while True:
            waiting = asyncio.run_coroutine_threadsafe(following(), loop)
            while not waiting.done():
                if exchange.is_aborted:
                    waiting.cancel()
                    raise ConnectionAbortedError("the run has ended")
                concurrent.futures.wait([waiting], _LOOK_SECONDS)
            piece = waiting.result()
            if piece is None:
                return
            yield piece

    return pieces()


def _pause(attempt: int) -> float:
    return _clock.jitter(_PAUSE_SECONDS * 2**attempt)
