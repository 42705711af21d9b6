"""Which instance a command talks to.

`--data-dir` or ORCHESTRA_DATA_DIR name a local instance; ORCHESTRA_URL with ORCHESTRA_API_KEY name
any; otherwise the instance of this directory, of one above it, or of the home directory.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from orchestra_cli.errors import NotAllowedError, UnavailableError


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go and the API key that they carry."""

    url: str
    key: str


def find(data_dir: Path | None, environment: Mapping[str, str], directory: Path) -> Target:
    """Raises UnavailableError or NotAllowedError saying what to do."""
    named = data_dir or _path(environment.get("ORCHESTRA_DATA_DIR"))
    url = environment.get("ORCHESTRA_URL", "").rstrip("/")
    if url and data_dir is None:
        return Target(url, _remote_key(url, named, environment))
    return _local(named or default_data_dir(environment, directory))


def default_data_dir(environment: Mapping[str, str], directory: Path) -> Path:
    """`.orchestra` here or above, as the server chooses it, otherwise the user's data directory."""
    for place in (directory, *directory.parents):
        if (place / ".orchestra").is_dir() or (place / "packages/server/src/orchestra").is_dir():
            return place / ".orchestra"
    base = environment.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(base).expanduser() / "ai-orchestra"


def _remote_key(url: str, data_dir: Path | None, environment: Mapping[str, str]) -> str:
    if key := environment.get("ORCHESTRA_API_KEY", "").strip():
        return key
    if data_dir is not None:
        return _read_key(data_dir)
    raise NotAllowedError(f"Set ORCHESTRA_API_KEY to an API key of {url}.")


def _local(data_dir: Path) -> Target:
    try:
        runtime = cast("dict[str, Any]", json.loads((data_dir / "runtime.json").read_text()))
    except PermissionError as error:
        raise NotAllowedError(f"The instance in {data_dir} belongs to another user.") from error
    except (OSError, ValueError):
        runtime = {}
    url = str(runtime.get("url") or "")
    if not url or runtime.get("state") == "stopped":
        raise UnavailableError(
            f"No instance runs from {data_dir}. Start one with `orchestra up`, or set ORCHESTRA_URL"
            " and ORCHESTRA_API_KEY."
        )
    return Target(url.rstrip("/"), _read_key(data_dir))


def _read_key(data_dir: Path) -> str:
    path = data_dir / "keys" / "local.key"
    try:
        return path.read_text().strip()
    except OSError as error:
        raise NotAllowedError(f"The key {path} cannot be read: {error.strerror}.") from error


def _path(value: str | None) -> Path | None:
    return Path(value).expanduser() if value else None
