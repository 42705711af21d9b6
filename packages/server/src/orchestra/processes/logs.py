"""One log file for each program, bounded: the file and one older half, ten megabytes each."""

import json
import shutil
from pathlib import Path
from typing import IO

from orchestra.engines.process import make_directory, unusable

MAX_BYTES = 10 * 1024 * 1024
TAIL_BYTES = 4096
LAST_LINES = 5
LONGEST_WORDS = 300


def open_log(directory: Path, name: str) -> IO[bytes]:
    """The file, opened to append: then it can be cut while the program has it open."""
    make_directory(directory)
    try:
        return (directory / f"{name}.log").open("ab")
    except OSError as error:
        raise unusable(directory, error) from error


def rotate(directory: Path) -> None:
    """Keeps what is over the bound as `<name>.log.1`, in place of an older one, and empties the
    file.
    """
    for path in directory.glob("*.log"):
        if path.stat().st_size > MAX_BYTES:
            shutil.copyfile(path, path.with_name(path.name + ".1"))
            with path.open("r+b") as file:
                file.truncate()


def last_line(directory: Path, name: str) -> str:
    """The last line a program wrote, to say why it ended; PostgreSQL's reason stands before it."""
    try:
        with (directory / f"{name}.log").open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - TAIL_BYTES))
            lines = file.read().decode(errors="replace").strip().splitlines()
    except OSError:
        return ""
    fatal = [line.partition("FATAL:")[2] for line in lines[-LAST_LINES:] if "FATAL:" in line]
    return _plain((fatal or lines or [""])[-1].strip())[:LONGEST_WORDS]


def _plain(line: str) -> str:
    """What a JSON line says to people; our own processes and Envoy write such lines."""
    try:
        content: dict[str, object] = json.loads(line)
        return ": ".join(str(content[name]) for name in ("message", "error") if name in content)
    except (ValueError, TypeError):
        return line
