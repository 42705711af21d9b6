"""Who is calling and what they may do. How a credential is checked is `identity`'s business.

Every route and rpc carries a policy made by `require`, `public` or `authenticated`; one without is
refused when the process starts, and a test enumerates them.
"""

import uuid
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from orchestra.foundation.errors import Forbidden


class Permission(StrEnum):
    """Everything that can be allowed; also the scopes of API keys."""

    CHAT_USE = "chat:use"
    TASKS_READ = "tasks:read"
    TASKS_WRITE = "tasks:write"
    AGENTS_READ = "agents:read"
    AGENTS_CONNECT = "agents:connect"
    AGENTS_MANAGE = "agents:manage"
    MODELS_USE = "models:use"
    PROVIDERS_MANAGE = "providers:manage"
    USERS_MANAGE = "users:manage"
    KEYS_MANAGE = "keys:manage"
    EVENTS_READ = "events:read"
    AUDIT_READ = "audit:read"
    SYSTEM_READ = "system:read"
    METRICS_READ = "metrics:read"


class Role(StrEnum):
    ADMIN = "admin"
    MEMBER = "member"
    VIEWER = "viewer"


_VIEWER = {Permission.TASKS_READ, Permission.AGENTS_READ, Permission.EVENTS_READ}
_MEMBER = _VIEWER | {
    Permission.CHAT_USE,
    Permission.TASKS_WRITE,
    Permission.AGENTS_CONNECT,
    Permission.MODELS_USE,
    Permission.KEYS_MANAGE,
}
ROLE_PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.VIEWER: frozenset(_VIEWER),
    Role.MEMBER: frozenset(_MEMBER),
    Role.ADMIN: frozenset(Permission),
}


class ActorKind(StrEnum):
    USER = "user"  # a person's login
    KEY = "key"  # an API key of a person
    AGENT = "agent"  # an enrolled agent's key
    RUN = "run"  # the credential of one running task
    SYSTEM = "system"  # our own jobs


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who acts. `user_id` is the person behind it in every case but SYSTEM."""

    kind: ActorKind
    id: str  # of the login, key, agent key or run
    name: str
    user_id: uuid.UUID | None
    role: Role
    permissions: frozenset[Permission]
    ip: str = ""
    task_id: uuid.UUID | None = None  # for RUN
    epoch: int | None = None  # for RUN

    def may(self, permission: Permission) -> bool:
        return permission in self.permissions

    @property
    def is_admin(self) -> bool:
        return self.role is Role.ADMIN

    @property
    def owner(self) -> uuid.UUID:
        """The person; raises Forbidden for a system actor, which owns nothing."""
        if self.user_id is None:
            raise Forbidden
        return self.user_id


SYSTEM = Actor(
    kind=ActorKind.SYSTEM,
    id="system",
    name="system",
    user_id=None,
    role=Role.ADMIN,
    permissions=frozenset(Permission),
)


@dataclass(frozen=True, slots=True)
class Policy:
    """What a door asks of its caller.

    Without `permission`, any signed-in caller; `is_public`, anybody.
    """

    permission: Permission | None = None
    is_public: bool = False

    def check(self, actor: Actor) -> None:
        if self.permission is not None and not actor.may(self.permission):
            raise Forbidden(f"This needs the permission {self.permission}.")


PUBLIC = Policy(is_public=True)
SIGNED_IN = Policy()


def require(permission: Permission) -> Policy:
    return Policy(permission=permission)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """What a caller presented; at most one of the two."""

    bearer: str | None = None
    cookie: str | None = None
    ip: str = ""
    user_agent: str = ""


class Authenticator(Protocol):
    """Turns a credential into an actor; raises Unauthenticated."""

    async def authenticate(self, credential: Credential) -> Actor: ...
