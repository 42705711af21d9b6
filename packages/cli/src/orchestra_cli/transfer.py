"""Large files to and from an instance, a piece at a time."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

PIECE_BYTES = 256 * 1024


def pieces(file: BinaryIO) -> Iterator[bytes]:
    """The rest of a file."""
    while piece := file.read(PIECE_BYTES):
        yield piece


def digest(path: Path) -> str:
    """The SHA-256 of a file's content, which is also the name of its blob."""
    with path.open("rb") as file:
        found = hashlib.sha256()
        for piece in pieces(file):
            found.update(piece)
    return found.hexdigest()


class Checked:
    """Writes what arrives, and knows its SHA-256 at the end."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._digest = hashlib.sha256()

    def __call__(self, piece: bytes) -> None:
        self._digest.update(piece)
        self._write(piece)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()
