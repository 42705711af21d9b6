"""The credential of one run: a signed token that lives for minutes and is good for models only."""

import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from orchestra.foundation import clock, keyfiles
from orchestra.foundation.errors import OrchestraError, Unauthenticated

AUDIENCE = "orchestra:models"
TYPE = "run+jwt"
# RFC 9864's name for EdDSA over Curve25519; it is the only one that is accepted.
ALGORITHM = "Ed25519"
LONGEST = timedelta(minutes=10)
_MAX_BYTES = 2_048
_CLAIMS = jwt.JWTClaimsRegistry(
    leeway=0,
    aud={"essential": True, "value": AUDIENCE},
    sub={"essential": True},
    exp={"essential": True},
)


class BadSigningKey(OrchestraError):
    """The key file that signs run tokens holds no Ed25519 key."""

    code = "bad_signing_key"


@dataclass(frozen=True, slots=True)
class RunClaims:
    """Which lease of which task, and for whom it runs."""

    task_id: uuid.UUID
    epoch: int
    user_id: uuid.UUID


class RunTokens:
    """Signs and checks run tokens with the key in one file, made on first use."""

    def __init__(self, key_file: Path) -> None:
        self._key_file = key_file
        self._loaded: OKPKey | None = None
        self._signs: Ed25519PrivateKey | None = None

    def issue(self, claims: RunClaims, *, expires_at: datetime) -> str:
        """A token until `expires_at`, but at most ten minutes."""
        now = clock.now()
        payload = {
            "aud": AUDIENCE,
            "sub": str(claims.task_id),
            "epoch": claims.epoch,
            "uid": str(claims.user_id),
            "iat": int(now.timestamp()),
            "exp": int(min(expires_at, now + LONGEST).timestamp()),
        }
        return _signed(payload, self._signing_key())

    def read(self, token: str) -> RunClaims:
        """What a valid token says; raises Unauthenticated."""
        if len(token) > _MAX_BYTES:
            raise Unauthenticated
        try:
            decoded = jwt.decode(token, self._key(), [ALGORITHM])
            if decoded.header.get("typ") != TYPE:
                raise Unauthenticated
            _CLAIMS.validate(decoded.claims)
            claims = decoded.claims
            if not _is_current(claims["exp"]):
                raise Unauthenticated("This run's credential has expired.")
            return RunClaims(
                uuid.UUID(claims["sub"]), int(claims["epoch"]), uuid.UUID(claims["uid"])
            )
        except (JoseError, KeyError, ValueError, TypeError, AttributeError) as error:
            raise Unauthenticated from error

    def _signing_key(self) -> Ed25519PrivateKey:
        if self._signs is None:
            key = self._key().get_op_key("sign")
            if not isinstance(key, Ed25519PrivateKey):
                raise BadSigningKey(f"{self._key_file} holds no Ed25519 key.")
            self._signs = key
        return self._signs

    def _key(self) -> OKPKey:
        if self._loaded is None:
            content = keyfiles.read_or_create(self._key_file, _new_key)
            try:
                self._loaded = OKPKey.import_key(content)
            except (JoseError, ValueError) as error:
                raise BadSigningKey(f"{self._key_file} holds no Ed25519 key.") from error
        return self._loaded


def _signed(payload: Mapping[str, object], key: Ed25519PrivateKey) -> str:
    """RFC 7515's compact form. Every task has one: the library's own way costs as much again."""
    signed = b"%b.%b" % (_HEADER, _base64(msgspec.json.encode(payload)))
    return (signed + b"." + _base64(key.sign(signed))).decode()


def _base64(content: bytes) -> bytes:
    return urlsafe_b64encode(content).rstrip(b"=")


_HEADER = _base64(msgspec.json.encode({"alg": ALGORITHM, "typ": TYPE}))


def _new_key() -> bytes:
    return OKPKey.generate_key("Ed25519").as_pem(private=True)


def _is_current(expires_at: object) -> bool:
    return isinstance(expires_at, int) and clock.now().timestamp() < expires_at
