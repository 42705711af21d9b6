"""Results on standard output, messages on standard error, so that a pipe carries results only.

Much of it agents have written. What would move a terminal's cursor or turn text around is shown as
JSON spells it: nobody can rewrite what somebody else is asked to approve.
"""

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, cast

# Controls but tab and newline, and what embeds or overrides the direction of text.
_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    return _HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def write(text: str) -> None:
    """A result."""
    sys.stdout.write(visible(text))
    sys.stdout.flush()


def write_json(value: object) -> None:
    write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def note(message: str) -> None:
    """A message for people."""
    _to_stderr(visible(message))


def error(message: str) -> None:
    prefix = "\x1b[31merror:\x1b[0m" if colours(sys.stderr.isatty()) else "error:"
    _to_stderr(f"{prefix} {visible(message)}")


def _to_stderr(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def colours(is_terminal: bool) -> bool:
    """Whether to colour: on a terminal, unless NO_COLOR is set (no-color.org)."""
    return is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def interactive() -> bool:
    """Whether a person can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> None:
    """Rows under headings: a table on a terminal, tabs in a pipe.

    `columns` maps a key to its heading; `a.b` is the field `b` of the field `a`.
    """
    texts = [[_text(_field(row, key)) for key in columns] for row in rows]
    if not sys.stdout.isatty():
        write("".join("\t".join(line) + "\n" for line in texts))
        return
    from rich.console import Console  # noqa: PLC0415 - 60 ms that a pipe does not need
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    drawn = Table(box=None, header_style="bold", pad_edge=False)
    for heading in columns.values():
        drawn.add_column(heading, overflow="fold")
    for line in texts:
        drawn.add_row(*(Text(visible(cell)) for cell in line))
    Console(no_color=not colours(True), highlight=False).print(drawn)


def record(value: Mapping[str, Any]) -> None:
    """One thing, a line for each of its fields."""
    width = max((len(key) for key in value), default=0)
    for key, content in value.items():
        write(f"{key.ljust(width)}  {_text(content)}\n")


def _field(row: Mapping[str, Any], key: str) -> Any:
    value: Any = row
    for name in key.split("."):
        value = cast("Mapping[str, Any]", value).get(name) if isinstance(value, Mapping) else None
    return value


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):  # pyright: ignore[reportUnknownVariableType]
        return ", ".join(value)  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return str(value).replace("\n", " ").replace("\t", " ")
