"""What people may be called, and which addresses and preferences are stored."""

import unicodedata
from typing import Any

import msgspec

from orchestra.foundation.database import without_nul
from orchestra.foundation.errors import FieldError, InvalidInput

MAX_USERNAME, MAX_DISPLAY_NAME, MAX_EMAIL = 50, 100, 254
MAX_PREFERENCES_BYTES = 16 * 1024
_SIGNS = frozenset("._-@+")
# Names that we use ourselves, in logs and for this machine's account.
_RESERVED = frozenset({"local", "system", "orchestra"})


def username(given: str) -> str:
    """A name to sign in with: letters and digits of any script, `._-@+`; raises InvalidInput."""
    name = unicodedata.normalize("NFKC", given.strip())
    if not 1 <= len(name) <= MAX_USERNAME:
        raise _invalid("username", f"Use 1 to {MAX_USERNAME} characters.")
    if not all(character.isalnum() or character in _SIGNS for character in name):
        raise _invalid("username", "Use letters, digits and . _ - @ + only.")
    if name.lower() in _RESERVED:
        raise _invalid("username", "This name is reserved; choose another.")
    return name


def display_name(given: str) -> str:
    """Any one line of text; raises InvalidInput."""
    name = " ".join(given.split())
    if len(name) > MAX_DISPLAY_NAME:
        raise _invalid("display_name", f"Use at most {MAX_DISPLAY_NAME} characters.")
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in name):
        raise _invalid("display_name", "It contains characters that cannot be shown.")
    return name


def email(given: str | None) -> str | None:
    """An address, empty for none; raises InvalidInput. Only a message to it would prove it."""
    address = (given or "").strip()
    if not address:
        return None
    local, at, domain = address.rpartition("@")
    visible = address.isprintable() and " " not in address
    if not (local and at and domain and visible and len(address) <= MAX_EMAIL):
        raise _invalid("email", "This is not an e-mail address.")
    return address


def merged_preferences(present: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Sets the given keys and removes those set to null; raises InvalidInput above 16 KiB."""
    merged = {**present, **{without_nul(key): value for key, value in changes.items()}}
    merged = {key: value for key, value in merged.items() if value is not None}
    if len(msgspec.json.encode(merged)) > MAX_PREFERENCES_BYTES:
        raise _invalid("preferences", f"They may hold {MAX_PREFERENCES_BYTES} bytes as JSON.")
    return merged


def _invalid(field: str, message: str) -> InvalidInput:
    return InvalidInput(message, fields=[FieldError(field, message)])
