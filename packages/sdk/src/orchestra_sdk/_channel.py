"""A gRPC channel for an address as people write it."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import grpc

from orchestra_sdk._errors import NotConfigured
from orchestra_sdk._target import Target

_MAX_RECEIVE_BYTES = 16 * 1024 * 1024  # an input larger than this is the server's mistake
_PLAIN = {"http": 80, "grpc": 80}
_SECURE = {"https": 443, "grpcs": 443}
# How often gRPC wakes a thread that waits for the next message, in case a signal came meanwhile.
# Its own tenth of a second is half of what an idle agent costs, and our threads get no signals.
_WAKE_SECONDS = 2.0


def open_channel(target: Target) -> grpc.Channel:
    """Return a channel with a connection of its own; raises `NotConfigured` for a wrong address.

    http:// and grpc:// are plain, https:// and grpcs:// are TLS, unix:/path is a socket.
    """
    _wait_without_waking()
    # A pooled connection would bring its back-off of earlier failures into a new attempt.
    options: list[tuple[str, int | str]] = [
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.max_receive_message_length", _MAX_RECEIVE_BYTES),
        ("grpc.max_send_message_length", _MAX_RECEIVE_BYTES),
        ("grpc.enable_retries", 0),
    ]
    if target.url.startswith("unix:"):
        # A socket path is no host name: without this the server would refuse the :authority.
        options.append(("grpc.default_authority", "localhost"))
        path = "/" + target.url.removeprefix("unix:").lstrip("/")
        return grpc.insecure_channel(f"unix:{path}", options=options)
    parts = urlsplit(target.url)
    port = _PLAIN.get(parts.scheme) or _SECURE.get(parts.scheme)
    if port is None or not parts.hostname:
        raise NotConfigured(
            f"{target.url!r} is not an address: use http://, https://, grpc://, grpcs:// or unix:/"
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    address = f"{host}:{parts.port or port}"
    if parts.scheme in _PLAIN:
        return grpc.insecure_channel(address, options=options)
    return _secure(address, target, options)


def _wait_without_waking() -> None:
    """It is no option of gRPC's; a version that names it otherwise costs what it cost before."""
    common = importlib.import_module("grpc._common")
    if hasattr(common, "MAXIMUM_WAIT_TIMEOUT"):
        vars(common)["MAXIMUM_WAIT_TIMEOUT"] = _WAKE_SECONDS


def _secure(address: str, target: Target, options: Sequence[tuple[str, int | str]]) -> grpc.Channel:
    options = list(options)
    if target.server_name:
        options.append(("grpc.ssl_target_name_override", target.server_name))
    roots = _read(target.ca_file) if target.ca_file else None
    credentials = grpc.ssl_channel_credentials(root_certificates=roots)
    return grpc.secure_channel(address, credentials, options=options)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise NotConfigured(f"the certificate {path} cannot be read: {error.strerror}") from error
