"""The built web applications: the user's at `/`, the administrator's at `/admin`.

Everything is read into memory at the start (some megabytes), so serving is a dictionary look-up
and no request can name a path outside. A path that is no file is the application's own: it gets
its page.
"""

import hashlib
import mimetypes
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Scope = dict[str, Any]
Send = Callable[[Any], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_REFUSED = re.compile(r";\s*q=0(\.0*)?\s*$")
ENCODINGS = (("br", ".br"), ("gzip", ".gz"))
IMMUTABLE = b"public, max-age=31536000, immutable"
REVALIDATE = b"no-cache"
PAGE = "/index.html"
# Vite puts files named by their content here.
HASHED_DIRECTORY = "/assets/"
NOT_FOUND = (
    b'{"type":"about:blank","title":"Not Found","status":404,"code":"not_found",'
    b'"detail":"There is nothing at this address."}'
)


@dataclass(frozen=True, slots=True)
class Variant:
    """One file in one encoding."""

    body: bytes
    headers: Headers


@dataclass(frozen=True, slots=True)
class File:
    """A file in every encoding that was built, the smallest first."""

    etag: bytes
    variants: dict[str, Variant]


class StaticSite:
    """Both applications; one that is not built is absent, and its addresses answer 404."""

    def __init__(self, applications: dict[str, Path]) -> None:
        self._files: dict[str, File] = {}
        for prefix, directory in applications.items():
            self._files.update(_load(prefix, directory))
        self._prefixes = sorted(applications, key=len, reverse=True)

    async def __call__(self, scope: Scope, receive: Any, send: Send) -> None:
        """Answers GET and HEAD; the caller has sent nothing else here."""
        file = self._find(scope["path"])
        if file is None:
            await self.not_found(scope, send)
            return
        asked = dict(scope["headers"])
        if file.etag in asked.get(b"if-none-match", b""):
            await _answer(scope, send, 304, [(b"etag", file.etag)], b"")
            return
        variant = _choose(file, asked.get(b"accept-encoding", b"").decode("latin-1"))
        await _answer(scope, send, 200, variant.headers, variant.body)

    async def not_found(self, scope: Scope, send: Send) -> None:
        headers = [(b"content-type", b"application/problem+json")]
        await _answer(scope, send, 404, headers, NOT_FOUND)

    def _find(self, path: str) -> File | None:
        if path in self._files:
            return self._files[path]
        prefix = next((item for item in self._prefixes if _is_under(path, item)), None)
        if prefix is None or "." in path.rpartition("/")[2]:
            return None
        return self._files.get(prefix + PAGE)


def _is_under(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(f"{prefix}/")


def find_applications(package: Path) -> dict[str, Path]:
    """Where the built applications are: in the wheel, or in the checkout around `package`."""
    packaged = {"": package / "web_dist" / "user", "/admin": package / "web_dist" / "admin"}
    if packaged[""].is_dir():
        return packaged
    apps = next(
        (parent / "web" / "apps" for parent in package.parents if (parent / "web/apps").is_dir()),
        None,
    )
    if apps is None:
        return {}
    return {"": apps / "user" / "dist", "/admin": apps / "admin" / "dist"}


def _load(prefix: str, directory: Path) -> dict[str, File]:
    if not directory.is_dir():
        return {}
    plain = [
        path
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.suffix not in {".br", ".gz", ".map"}
    ]
    return {f"{prefix}/{path.relative_to(directory).as_posix()}": _file(path) for path in plain}


def _file(path: Path) -> File:
    body = path.read_bytes()
    etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'.encode()
    variants = {"identity": _variant(path, body, etag, "")}
    for name, suffix in ENCODINGS:
        built = path.with_name(path.name + suffix)
        if built.is_file():
            variants[name] = _variant(path, built.read_bytes(), etag, name)
    return File(etag, variants)


def _variant(path: Path, body: bytes, etag: bytes, encoding: str) -> Variant:
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    if kind.startswith("text/") or kind in {"application/javascript", "application/json"}:
        kind += "; charset=utf-8"
    is_hashed = HASHED_DIRECTORY in path.as_posix()
    headers = [
        (b"content-type", kind.encode()),
        (b"cache-control", IMMUTABLE if is_hashed else REVALIDATE),
        (b"etag", etag),
        (b"vary", b"accept-encoding"),
    ]
    if encoding:
        headers.append((b"content-encoding", encoding.encode()))
    return Variant(body, headers)


def _choose(file: File, accepted: str) -> Variant:
    names = {
        part.partition(";")[0].strip() for part in accepted.split(",") if not _REFUSED.search(part)
    }
    best = next((name for name, _ in ENCODINGS if name in names and name in file.variants), None)
    return file.variants[best or "identity"]


async def _answer(scope: Scope, send: Send, status: int, headers: Headers, body: bytes) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send(
        {"type": "http.response.start", "status": status, "headers": [*headers, length]}
        if status != 304
        else {"type": "http.response.start", "status": status, "headers": headers}
    )
    if scope["method"] == "HEAD":
        body = b""
    await send({"type": "http.response.body", "body": body, "more_body": False})
