"""Who is it? The one place that turns cookies, keys and tokens into actors."""

import dataclasses
import hashlib
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import structlog
from nats.aio.msg import Msg

from orchestra.features.identity import repository
from orchestra.features.identity.events import REVOKED, revocation, revoked_by
from orchestra.features.identity.service.passwords import Passwords
from orchestra.features.identity.service.run_tokens import RunClaims, RunTokens
from orchestra.features.identity.service.secrets import parse_key, token_hash
from orchestra.features.identity.types import User
from orchestra.foundation import clock
from orchestra.foundation.auth import (
    ROLE_PERMISSIONS,
    Actor,
    ActorKind,
    Credential,
    Permission,
    Role,
)
from orchestra.foundation.database import Database, Transaction
from orchestra.foundation.errors import Unauthenticated, Unavailable
from orchestra.foundation.messaging import Bus
from orchestra.foundation.settings import Settings

log = structlog.get_logger(__name__)

API_KEY_PREFIX = "aoc"
AGENT_KEY_PREFIX = "aok"
# A revocation that never arrives (NATS away) still takes effect within this time.
CACHE_SECONDS = 1.0
CACHE_ENTRIES = 4_096
# `last_seen_at` and `last_used_at` are right to the minute; more would write on every request.
TOUCH = timedelta(minutes=1)
_MAX_TOKEN = 2_048

RunCheck = Callable[[uuid.UUID, int], Awaitable[bool]]
AgentKeyCheck = Callable[[str], Awaitable[Actor]]


class Identity:
    """Authenticates, and issues the credentials of runs.

    `run_check` says whether a lease (task, epoch) is the current one; `check_agent_key` turns an
    agent's key into an actor or raises Unauthenticated. Both are other features' business and are
    handed in.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        run_check: RunCheck | None = None,
        *,
        check_agent_key: AgentKeyCheck | None = None,
    ) -> None:
        self.passwords = Passwords()
        self._database = database
        self._settings = settings
        self._run_check = run_check
        self._check_agent_key = check_agent_key
        self._run_tokens = RunTokens(settings.keys_dir / "jwt")
        self._cache = _Cache()
        self._bus: Bus | None = None

    async def authenticate(self, credential: Credential) -> Actor:
        """The caller behind a credential; raises Unauthenticated."""
        token = credential.bearer or credential.cookie
        if not token or len(token) > _MAX_TOKEN:
            raise Unauthenticated
        kind = b"b" if credential.bearer else b"c"
        key = hashlib.sha256(kind + token.encode(errors="replace")).digest()
        actor = self._cache.get(key)
        if actor is None:
            generation = self._cache.generation
            actor = await (self._bearer(token) if credential.bearer else self._login(token))
            self._cache.put(key, actor, generation=generation)
        return dataclasses.replace(actor, ip=credential.ip)

    def issue_run_token(
        self, task_id: uuid.UUID, epoch: int, user_id: uuid.UUID, expires_at: datetime
    ) -> str:
        """The credential of one lease, for `/v1` only; ends after ten minutes at most."""
        return self._run_tokens.issue(RunClaims(task_id, epoch, user_id), expires_at=expires_at)

    async def watch(self, bus: Bus) -> None:
        """Hears of revocations in other processes, and tells them of ours."""
        self._bus = bus
        await bus.listen(REVOKED, self._on_revoked)

    def revoked(self, tx: Transaction, user_id: uuid.UUID) -> None:
        """Once `tx` commits, everybody forgets what they know of the user, and feeds close."""

        async def tell() -> None:
            self.forget(user_id)
            try:
                if self._bus is not None:
                    await self._bus.announce(REVOKED, revocation(user_id))
            except Unavailable:
                log.warning("a revocation was not announced", user_id=str(user_id))

        tx.after_commit(tell)

    def forget(self, user_id: uuid.UUID) -> None:
        """Drops what this process remembers of the user's credentials."""
        self._cache.forget(user_id)

    async def _on_revoked(self, message: Msg) -> None:
        try:
            self.forget(revoked_by(message.data)[0])
        except ValueError:
            log.warning("a revocation names no user", payload=message.data[:100])

    async def _bearer(self, token: str) -> Actor:
        if token.startswith(f"{API_KEY_PREFIX}_"):
            return await self._api_key(token)
        if token.startswith(f"{AGENT_KEY_PREFIX}_"):
            if self._check_agent_key is None:
                raise Unauthenticated
            return await self._check_agent_key(token)
        return await self._run(token)

    async def _login(self, token: str) -> Actor:
        now = clock.now()
        idle_since = now - timedelta(hours=self._settings.login_idle_hours)
        async with self._database.transaction() as tx:
            found = await repository.active_login(
                tx, token_hash(token), now=now, idle_since=idle_since
            )
            if found is None:
                raise Unauthenticated
            login, user = found
            if now - login.last_seen_at > TOUCH:
                await repository.touch_login(tx, login.id, now=now)
        return login_actor(user, login.id)

    async def _api_key(self, token: str) -> Actor:
        parsed = parse_key(API_KEY_PREFIX, token)
        if parsed is None:
            raise Unauthenticated("This API key is incomplete or mistyped.")
        now = clock.now()
        async with self._database.transaction() as tx:
            found = await repository.active_key(tx, parsed.id, now=now)
            if found is None or not parsed.matches(found[1]):
                raise Unauthenticated
            key, _, user = found
            if key.last_used_at is None or now - key.last_used_at > TOUCH:
                await repository.touch_key(tx, key.id, now=now)
        allowed = ROLE_PERMISSIONS[user.role].intersection(key.scopes)
        return _actor(ActorKind.KEY, key.id, user, allowed)

    async def _run(self, token: str) -> Actor:
        claims = self._run_tokens.read(token)
        if self._run_check is None or not await self._run_check(claims.task_id, claims.epoch):
            raise Unauthenticated("This run has ended.")
        async with self._database.transaction() as tx:
            user = await repository.user_by_id(tx, claims.user_id)
        if user is None or user.status != "active":
            raise Unauthenticated
        actor = _actor(ActorKind.RUN, str(claims.task_id), user, frozenset({Permission.MODELS_USE}))
        # The least role: a run reads and changes nothing here, whoever it runs for.
        return dataclasses.replace(
            actor, role=Role.VIEWER, task_id=claims.task_id, epoch=claims.epoch
        )


class _Cache:
    """The last answers by hash of the token; the least recently used go first."""

    def __init__(self) -> None:
        self._entries: OrderedDict[bytes, tuple[Actor, float]] = OrderedDict()
        self.generation = 0

    def get(self, key: bytes) -> Actor | None:
        entry = self._entries.get(key)
        if entry is None or entry[1] < clock.monotonic():
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: bytes, actor: Actor, *, generation: int) -> None:
        """Keeps an answer, unless something was revoked since it was looked up."""
        if generation != self.generation:
            return
        self._entries[key] = (actor, clock.monotonic() + CACHE_SECONDS)
        self._entries.move_to_end(key)
        if len(self._entries) > CACHE_ENTRIES:
            self._entries.popitem(last=False)

    def forget(self, user_id: uuid.UUID) -> None:
        self.generation += 1
        for key in [key for key, (actor, _) in self._entries.items() if actor.user_id == user_id]:
            del self._entries[key]


async def acting_for(tx: Transaction, user_id: uuid.UUID) -> Actor | None:
    """Ourselves in the name of a person, with that person's rights; None if there is none."""
    user = await repository.user_by_id(tx, user_id)
    if user is None or user.status != "active":
        return None
    return _actor(ActorKind.SYSTEM, "system", user, ROLE_PERMISSIONS[user.role])


def login_actor(user: User, login_id: uuid.UUID, *, ip: str = "") -> Actor:
    """The person behind a login."""
    actor = _actor(ActorKind.USER, str(login_id), user, ROLE_PERMISSIONS[user.role])
    return dataclasses.replace(actor, ip=ip)


def _actor(kind: ActorKind, actor_id: str, user: User, permissions: frozenset[Permission]) -> Actor:
    return Actor(
        kind=kind,
        id=actor_id,
        name=user.username,
        user_id=user.id,
        role=user.role,
        permissions=permissions,
    )
