"""Small secret files that only their owner may read, made once however many processes start."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from orchestra.foundation import ids
from orchestra.foundation.errors import OrchestraError


class KeyFileUnusable(OrchestraError):
    """A key file cannot be read or written."""

    code = "key_file_unusable"


def read_or_create(path: Path, make: Callable[[], bytes]) -> bytes:
    """The file's content; a missing file is first filled by `make`. Raises KeyFileUnusable.

    Of several processes that find it missing, one wins and all read what that one wrote.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise _unusable(path, error) from error
    fresh = _write_beside(path, make())
    try:
        with contextlib.suppress(FileExistsError):
            os.link(fresh, path)
        flush_names(path.parent)
    except OSError as error:
        raise _unusable(path, error) from error
    finally:
        fresh.unlink(missing_ok=True)
    return path.read_bytes()


def replace(path: Path, content: bytes) -> None:
    """Writes the file anew in one step. Raises KeyFileUnusable."""
    try:
        _write_beside(path, content).replace(path)
        flush_names(path.parent)
    except OSError as error:
        raise _unusable(path, error) from error


def flush_names(directory: Path) -> None:
    """Without it a power cut may take a file that was just made, whatever was flushed into it."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_beside(path: Path, content: bytes) -> Path:
    fresh = path.with_name(f".{path.name}.{ids.short_id()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
    except OSError as error:
        raise _unusable(path, error) from error
    return fresh


def _unusable(path: Path, error: OSError) -> KeyFileUnusable:
    return KeyFileUnusable(f"The key file {path} cannot be used: {error.strerror or error}.")
