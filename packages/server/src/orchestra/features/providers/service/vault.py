"""Provider keys at rest: AES-256-GCM under a data key that a key outside the database wraps.

A ciphertext is bound to its row and column, so it is worth nothing in another place. The canary
shows at start, not at the first call, that the key-encryption key is the right one.
"""

import base64
import binascii
import uuid

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from orchestra.features.providers import repository
from orchestra.features.providers.errors import BadKeyEncryptionKey, UnreadableKey
from orchestra.foundation import clock, ids, keyfiles
from orchestra.foundation.database import Database, Transaction
from orchestra.foundation.settings import Settings

KEY_BYTES = 32
_NONCE_BYTES = 12  # what GCM is specified for (NIST SP 800-38D)
_VERSION = b"\x01"
_CANARY = b"this data key is the right one"


class Vault:
    """Encrypts with the newest data key, and decrypts with the one that was used."""

    def __init__(self, keys: dict[uuid.UUID, AESGCM], newest: uuid.UUID) -> None:
        self._keys = keys
        self._newest = newest

    @classmethod
    async def open(cls, database: Database, settings: Settings) -> "Vault":
        """Unwraps the data keys, making the first; raises BadKeyEncryptionKey."""
        wrapping = AESGCM(_key_encryption_key(settings))
        async with database.transaction() as tx:
            await repository.lock_start(tx)
            rows = await repository.data_keys(tx)
            if not rows:
                await _create_data_key(tx, wrapping)
                rows = await repository.data_keys(tx)
        keys = {
            row["id"]: _unwrap(wrapping, row["id"], row["wrapped_key"], row["canary"])
            for row in rows
        }
        return cls(keys, rows[0]["id"])

    def encrypt(self, text: str, *, place: str) -> bytes:
        """`place` names the row and column, for instance `providers/<id>/api_key`."""
        sealed = _seal(self._keys[self._newest], text.encode(), place)
        return _VERSION + self._newest.bytes + sealed

    def decrypt(self, stored: bytes, *, place: str) -> str:
        """Raises UnreadableKey if it was made for another place, or with a key that is gone."""
        key = self._keys.get(uuid.UUID(bytes=stored[1:17])) if len(stored) > 17 else None
        if key is None or stored[:1] != _VERSION:
            raise UnreadableKey
        try:
            return _unseal(key, stored[17:], place).decode()
        except (InvalidTag, ValueError) as error:
            raise UnreadableKey from error


def _key_encryption_key(settings: Settings) -> bytes:
    path = settings.keys_dir / "kek"
    text = settings.key_encryption_key.encode() or keyfiles.read_or_create(path, _new_key)
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadKeyEncryptionKey("The key-encryption key is not base64.") from error
    if len(key) != KEY_BYTES:
        raise BadKeyEncryptionKey(f"The key-encryption key has {len(key)} bytes instead of 32.")
    return key


def _new_key() -> bytes:
    return base64.b64encode(ids.random_bytes(KEY_BYTES)) + b"\n"


async def _create_data_key(tx: Transaction, wrapping: AESGCM) -> None:
    key_id, key = ids.new_id(), ids.random_bytes(KEY_BYTES)
    await repository.insert_data_key(
        tx,
        key_id,
        wrapped_key=_seal(wrapping, key, f"data_keys/{key_id}"),
        canary=_seal(AESGCM(key), _CANARY, f"canary/{key_id}"),
        now=clock.now(),
    )


def _unwrap(wrapping: AESGCM, key_id: uuid.UUID, wrapped: bytes, canary: bytes) -> AESGCM:
    try:
        key = AESGCM(_unseal(wrapping, wrapped, f"data_keys/{key_id}"))
        intact = _unseal(key, canary, f"canary/{key_id}") == _CANARY
    except (InvalidTag, ValueError) as error:
        raise BadKeyEncryptionKey from error
    if not intact:
        raise BadKeyEncryptionKey
    return key


def _seal(key: AESGCM, plain: bytes, place: str) -> bytes:
    nonce = ids.random_bytes(_NONCE_BYTES)
    return nonce + key.encrypt(nonce, plain, place.encode())


def _unseal(key: AESGCM, sealed: bytes, place: str) -> bytes:
    return key.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], place.encode())
