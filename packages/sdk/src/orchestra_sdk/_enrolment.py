"""Exchanges a one-time token for a credential of the agent's own, over plain `urllib`."""

import hashlib
import json
import os
import socket
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from orchestra_sdk import _target
from orchestra_sdk._errors import EnrolmentFailed

_TIMEOUT_SECONDS = 15.0
_MAX_ANSWER_BYTES = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class _Pin:
    """The server's certificate, taken as the only one that is trusted."""

    certificate: str
    context: ssl.SSLContext
    server_name: str


def enroll(url: str, token: str, *, name: str, directory: str | Path | None = None) -> Path:
    """Store a credential for the agent `name` and return its file (mode 0600).

    `url` is the address of the instance as in the browser. A token that ends in `.sha256-<64 hex>`
    names the server's certificate: no other is accepted. Without that, the system has to trust
    it. Raises `EnrolmentFailed`, which says what to do.
    """
    secret, _, fingerprint = token.partition(".sha256-")
    pin = _pin(url, fingerprint) if fingerprint else None
    answer = _post(url, {"token": secret, "name": name}, pin)
    folder = Path(directory) if directory else _target.credential_directory(os.environ)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    credential = {
        "agent_key": answer["agent_key"],
        "grpc_url": _target.seen_from_here(answer["grpc_url"], url),
        "pinned": pin is not None,
        "server_name": pin.server_name if pin else "",
    }
    if pin is not None:
        _write(folder / (_target.file_name(name) + ".pem"), pin.certificate)
    path = folder / (_target.file_name(name) + ".json")
    _write(path, json.dumps(credential, indent=2) + "\n")
    return path


def _pin(url: str, fingerprint: str) -> _Pin:
    """Return the server's certificate after comparing it with the one the token names."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise EnrolmentFailed(f"the token names a certificate, but {url} is not an https address")
    address = (parts.hostname, parts.port or 443)
    try:
        certificate = ssl.get_server_certificate(address, timeout=_TIMEOUT_SECONDS)
    except OSError as error:
        raise EnrolmentFailed(f"{url} cannot be reached: {error}") from error
    seen = hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate)).hexdigest()
    if seen != fingerprint.lower():
        raise EnrolmentFailed(
            f"{url} shows another certificate (sha256 {seen}) than the token names. Somebody may be"
            " in between, or the certificate was renewed: make a new token."
        )
    context = ssl.create_default_context(cadata=certificate)
    context.check_hostname = False  # this one certificate is trusted under any address
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return _Pin(certificate=certificate, context=context, server_name=_name(address, context))


def _name(address: tuple[str, int], context: ssl.SSLContext) -> str:
    """Return a name that the certificate carries, for clients that insist on one."""
    with (
        socket.create_connection(address, timeout=_TIMEOUT_SECONDS) as raw,
        context.wrap_socket(raw, server_hostname=address[0]) as secure,
    ):
        shown: Any = secure.getpeercert() or {}
    names = [name for kind, name in shown.get("subjectAltName", ()) if kind == "DNS"]
    return names[0].replace("*", "agent", 1) if names else ""


def _post(url: str, body: dict[str, str], pin: _Pin | None) -> dict[str, str]:
    if urlsplit(url).scheme not in ("http", "https"):
        raise EnrolmentFailed(f"{url!r} is not an http or https address")
    request = urllib.request.Request(  # noqa: S310 - the scheme was checked
        url.rstrip("/") + "/api/agents/enrol",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json", "Accept": "application/json"},
    )
    try:
        with urllib.request.urlopen(  # noqa: S310
            request, timeout=_TIMEOUT_SECONDS, context=pin.context if pin else None
        ) as response:
            return json.loads(response.read(_MAX_ANSWER_BYTES))
    except urllib.error.HTTPError as error:
        raise EnrolmentFailed(_refusal(error)) from error
    except (OSError, ValueError) as error:
        raise EnrolmentFailed(f"{url} did not answer as expected: {error}") from error


def _refusal(error: urllib.error.HTTPError) -> str:
    try:
        problem = json.loads(error.read(_MAX_ANSWER_BYTES))
        said = problem.get("detail") or problem.get("title")
    except (ValueError, AttributeError):
        said = None
    return f"the instance refused the enrolment ({error.code}): {said or error.reason}"


def _write(path: Path, text: str) -> None:
    """Replace the file; nobody else can read it at any moment."""
    beside = path.with_suffix(path.suffix + ".new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    beside.replace(path)
