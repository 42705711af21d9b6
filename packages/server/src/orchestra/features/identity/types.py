"""The values of identity: people, their logins, keys and links."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from orchestra.foundation.auth import Permission, Role


class UserStatus(StrEnum):
    ACTIVE = "active"
    DISABLED = "disabled"


class LinkPurpose(StrEnum):
    FIRST_ADMIN = "first_admin"  # creates the first administrator's account
    SIGN_IN = "sign_in"  # lets an invited person choose a password


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """An account; `is_system` marks the one behind this machine's own key."""

    id: uuid.UUID
    username: str
    email: str | None
    display_name: str
    avatar_url: str | None
    role: Role
    status: UserStatus
    is_system: bool
    preferences: dict[str, Any]
    created_at: datetime
    last_login_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUser:
    """What an account starts with; without a password it waits for a sign-in link."""

    username: str
    role: Role
    display_name: str = ""
    email: str | None = None
    password_hash: str | None = None
    is_system: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A signed-in browser."""

    id: uuid.UUID
    user_id: uuid.UUID
    created_at: datetime
    last_seen_at: datetime
    ip: str
    user_agent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """An API key without its secret, which nobody can see again."""

    id: str
    user_id: uuid.UUID
    name: str
    scopes: tuple[Permission, ...]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A one-time link that has neither been used nor expired."""

    purpose: LinkPurpose
    user_id: uuid.UUID | None
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Where a request came from, as the gateway saw it."""

    ip: str
    user_agent: str
