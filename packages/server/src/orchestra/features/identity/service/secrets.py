"""Tokens that we give out: random, shown once, kept as SHA-256.

A fast hash is enough because the secrets are 256 random bits; passwords go to Argon2 instead.
"""

import hashlib
import hmac
import re
import zlib
from dataclasses import dataclass

from orchestra.foundation import ids

_ID_BYTES = 6
_SECRET_BYTES = 32
# `<prefix>_<id>_<secret>_<CRC-32>`: the checksum lets a mistyped or cut key be refused without
# asking the database, and lets scanners that look for leaked keys be sure.
_KEY = re.compile(
    r"(?P<body>[a-z]{2,8}_(?P<id>[0-9a-f]{12})_(?P<secret>[0-9a-f]{64}))_(?P<sum>[0-9a-f]{8})"
)


@dataclass(frozen=True, slots=True)
class MintedKey:
    """A new key: `text` is shown once, `secret_hash` is kept."""

    id: str
    text: str
    secret_hash: bytes


@dataclass(frozen=True, slots=True)
class ParsedKey:
    """A key as presented; its form is right, its secret not yet checked."""

    id: str
    secret: str

    def matches(self, secret_hash: bytes) -> bool:
        """Compares in constant time."""
        return hmac.compare_digest(token_hash(self.secret), secret_hash)


def mint_key(prefix: str) -> MintedKey:
    """A new key such as `aoc_…` with an id, 256 secret bits and a checksum."""
    key_id, secret = ids.random_bytes(_ID_BYTES).hex(), ids.random_bytes(_SECRET_BYTES).hex()
    body = f"{prefix}_{key_id}_{secret}"
    return MintedKey(key_id, f"{body}_{_checksum(body)}", token_hash(secret))


def parse_key(prefix: str, text: str) -> ParsedKey | None:
    """The parts of a presented key; None unless its form and checksum are right."""
    match = _KEY.fullmatch(text)
    if match is None or not text.startswith(f"{prefix}_"):
        return None
    if match["sum"] != _checksum(match["body"]):
        return None
    return ParsedKey(match["id"], match["secret"])


def token_hash(token: str) -> bytes:
    """What the database keeps instead of a token."""
    return hashlib.sha256(token.encode(errors="replace")).digest()


def _checksum(body: str) -> str:
    return f"{zlib.crc32(body.encode()):08x}"
