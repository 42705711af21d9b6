"""Passwords: what is accepted, and Argon2id within bounds of memory and waiting."""

import asyncio
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from orchestra.features.identity.errors import TooManyAttempts, WeakPassword
from orchestra.foundation.errors import FieldError

MIN_LENGTH, MAX_LENGTH = 8, 256
# 46 MiB and two passes: above OWASP's minimum (46 MiB, one pass); 80 ms on a slow core.
_HASHER = PasswordHasher(time_cost=2, memory_cost=47_104, parallelism=1)
# Two at a time hold 92 MiB; more would only take each other's core.
_CONCURRENT = 2
# At 80 ms each the last in line waits about a second.
_MAX_WAITING = 24
# The most used of those that leaked, 8 characters or longer (Royce Williams's list of 20,000, from
# Have I Been Pwned).
_KNOWN_BAD_FILE = Path(__file__).with_name("known_bad_passwords.txt")
_OUR_NAMES = frozenset({"orchestra", "aiorchestra", "ai-orchestra", "ai orchestra", "orchestra1"})

T = TypeVar("T")


class Passwords:
    """Hashes and checks passwords in threads, two at a time."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(_CONCURRENT)
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """The Argon2id hash to keep; raises TooManyAttempts when too many wait."""
        return await self._in_turn(lambda: _HASHER.hash(password))

    async def matches(self, password: str, password_hash: str | None) -> bool:
        """Whether it is the right password; without a hash it takes as long and says no."""
        found = await self._in_turn(lambda: _matches(password, password_hash or _nobodys_hash()))
        return found and password_hash is not None

    async def _in_turn(self, work: Callable[[], T]) -> T:
        if self._waiting >= _MAX_WAITING:
            raise TooManyAttempts(retry_after=2)
        self._waiting += 1
        try:
            async with self._turns:
                return await asyncio.to_thread(work)
        finally:
            self._waiting -= 1


def needs_rehash(password_hash: str) -> bool:
    """Whether it was made with other parameters than today's."""
    return _HASHER.check_needs_rehash(password_hash)


def check_new_password(password: str, *, username: str) -> None:
    """Raises WeakPassword, saying what to change. No rules of composition: length is what helps."""
    if len(password) < MIN_LENGTH:
        raise _weak(f"Use at least {MIN_LENGTH} characters.")
    if len(password) > MAX_LENGTH:
        raise _weak(f"Use at most {MAX_LENGTH} characters.")
    lowered = password.casefold()
    if lowered == username.casefold():
        raise _weak("Use a password other than the user name.")
    if lowered in _known_bad() or lowered in _OUR_NAMES or len(set(lowered)) == 1:
        raise _weak("This password is among those that are tried first; choose another.")


def _weak(message: str) -> WeakPassword:
    return WeakPassword(message, fields=[FieldError("password", message)])


def _matches(password: str, password_hash: str) -> bool:
    try:
        return _HASHER.verify(password_hash, password.encode(errors="replace"))
    except (VerificationError, InvalidHashError):
        return False


@cache
def _nobodys_hash() -> str:
    return _HASHER.hash("the password of nobody")


@cache
def _known_bad() -> frozenset[str]:
    return frozenset(_KNOWN_BAD_FILE.read_text().split())
