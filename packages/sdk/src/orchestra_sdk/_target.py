"""Where the control plane is: arguments, environment, enrolled credential, local instance."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from orchestra_sdk._errors import NotConfigured

_KEY_FILE = Path("keys/local.key")


@dataclass(frozen=True, kw_only=True)
class Target:
    """An address, the key for it, and how its certificate is checked."""

    url: str
    key: str
    ca_file: Path | None = None
    server_name: str = ""  # the name in a pinned certificate, when the address has another


def find(*, name: str, url: str | None, key: str | None, ca_file: str | None) -> Target:
    """Return the first complete answer; raises `NotConfigured` saying what can be done."""
    env = os.environ
    ca_file = ca_file or env.get("ORCHESTRA_CA_FILE")
    url = url or env.get("ORCHESTRA_URL")
    key = key or env.get("ORCHESTRA_AGENT_KEY") or _key_in(env.get("ORCHESTRA_KEY_FILE"))
    if url and key:
        return Target(url=url, key=key, ca_file=Path(ca_file) if ca_file else None)
    for target in (enrolled(credential_directory(env), name), _local(env)):
        if target is not None:
            return Target(
                url=url or target.url,
                key=key or target.key,
                ca_file=Path(ca_file) if ca_file else target.ca_file,
                server_name=target.server_name,
            )
    raise NotConfigured(
        "No control plane is known. Start one here with `orchestra up`, enrol this agent with"
        " `orchestra agent enroll`, or set ORCHESTRA_URL and ORCHESTRA_AGENT_KEY."
    )


def seen_from_here(url: str, reached: str) -> str:
    """Return `url` as the agent can use it, which has reached the instance at `reached`.

    An instance that knows itself only as localhost means the address under which it was found.
    """
    parts, found = urlsplit(url), urlsplit(reached)
    if not _is_loopback(parts.hostname) or not found.hostname or _is_loopback(found.hostname):
        return url
    scheme = {"grpc": "http", "grpcs": "https"}.get(found.scheme, found.scheme)
    return urlunsplit(parts._replace(scheme=scheme, netloc=found.netloc))


def _is_loopback(host: str | None) -> bool:
    return host is not None and (host in ("localhost", "::1") or host.startswith("127."))


def credential_directory(env: Mapping[str, str]) -> Path:
    """Return where enrolled credentials are kept."""
    if chosen := env.get("ORCHESTRA_CREDENTIALS"):
        return Path(chosen)
    base = env.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "ai-orchestra" / "agents"


def file_name(name: str) -> str:
    """Return an agent's name as a file name, whatever is in it."""
    return quote(name, safe="").replace(".", "%2E")


def enrolled(directory: Path, name: str) -> Target | None:
    """Return the credential that `enroll` stored for the agent `name`."""
    kept = _json(directory / (file_name(name) + ".json"))
    if kept is None:
        return None
    certificate = directory / (file_name(name) + ".pem")
    return Target(
        url=str(kept["grpc_url"]),
        key=str(kept["agent_key"]),
        ca_file=certificate if kept.get("pinned") else None,
        server_name=str(kept.get("server_name") or ""),
    )


def _local(env: Mapping[str, str]) -> Target | None:
    """Return the instance that `orchestra up` runs from here upwards, or in the home directory."""
    here = Path.cwd()
    data = env.get("XDG_DATA_HOME") or str(Path.home() / ".local/share")
    places = [folder / ".orchestra" for folder in (here, *here.parents)]
    chosen = env.get("ORCHESTRA_DATA_DIR")
    for directory in [Path(chosen)] if chosen else [*places, Path(data) / "ai-orchestra"]:
        key = _key_in(directory / _KEY_FILE)
        running = _json(directory / "runtime.json")
        url = str(running.get("url") or "") if running else ""
        if key and url:
            return Target(url=url, key=key)
    return None


def _key_in(path: str | Path | None) -> str | None:
    if not path:
        return None
    try:
        return Path(path).read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NotConfigured(f"the key file {path} cannot be read: {error.strerror}") from error


def _json(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, PermissionError, json.JSONDecodeError):
        return None
