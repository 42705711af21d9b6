"""Identity over REST: signing in, one's own account, API keys, and accounts for administrators."""

import uuid
from typing import Any

from litestar import Request, Response, delete, get, patch, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.types import ControllerRouterHandler
from msgspec import UNSET

from orchestra.features.identity import repository
from orchestra.features.identity.schemas import (
    InvitedUserView,
    KeysView,
    KeyView,
    LinkBody,
    LinkView,
    LoginBody,
    LoginsView,
    MeView,
    NewKeyBody,
    NewKeyView,
    NewUserBody,
    PasswordBody,
    ProfileBody,
    SessionView,
    SetupBody,
    UserBody,
    UserView,
    invited_view,
    key_fields,
    login_view,
    me_view,
    profile_changes,
    user_view,
)
from orchestra.features.identity.service import accounts, api_keys, links, logins, names
from orchestra.features.identity.service.authenticator import Identity
from orchestra.features.identity.service.passwords import check_new_password
from orchestra.features.identity.types import Client, LinkPurpose, NewUser, User
from orchestra.foundation.auth import (
    PUBLIC,
    ROLE_PERMISSIONS,
    SIGNED_IN,
    Actor,
    ActorKind,
    Permission,
    Role,
    require,
)
from orchestra.foundation.database import Database, without_nul
from orchestra.foundation.errors import FieldError, Forbidden, InvalidInput, NotFound
from orchestra.foundation.settings import Settings
from orchestra.foundation.web import (
    SESSION_COOKIE,
    Page,
    client_ip,
    decode_cursor,
    encode_cursor,
    page_limit,
    policy,
)

AnyRequest = Request[Any, Any, Any]
DatabaseArg = NamedDependency[Database]
ActorArg = NamedDependency[Actor]
IdentityArg = NamedDependency[Identity]
SettingsArg = NamedDependency[Settings]
USERS = policy(require(Permission.USERS_MANAGE))
KEYS = policy(require(Permission.KEYS_MANAGE))


@post("/api/auth/link", opt=policy(PUBLIC), status_code=200, tags=["identity"])
async def check_link(data: JSONBody[LinkBody], database: DatabaseArg) -> LinkView:
    """What a one-time link is for; it stays usable."""
    async with database.transaction() as tx:
        link = await links.look(tx, data.token)
        username = await accounts.invited_name(tx, link)
    return LinkView(
        purpose=link.purpose,
        needs_account=link.purpose is LinkPurpose.FIRST_ADMIN,
        username=username,
        expires_at=link.expires_at,
    )


@post("/api/auth/setup", opt=policy(PUBLIC), status_code=201, tags=["identity"])
async def set_up(
    data: JSONBody[SetupBody],
    request: AnyRequest,
    database: DatabaseArg,
    identity: IdentityArg,
    settings: SettingsArg,
) -> Response[SessionView]:
    """Uses a link up: makes the first administrator or sets an invited person's password."""
    async with database.transaction() as tx:
        link = await links.look(tx, data.token)
        invited = await accounts.invited_name(tx, link)
    username = invited or names.username(data.username or "")
    check_new_password(data.password, username=username)
    new = NewUser(
        username=username,
        role=Role.ADMIN,
        display_name=names.display_name(data.display_name),
        password_hash=await identity.passwords.hash(data.password),
    )
    client = _client(request)
    async with database.transaction() as tx:
        user = await accounts.accept_link(tx, data.token, new)
        identity.revoked(tx, user.id)
        token = await logins.open_login(tx, user, client, settings)
    return _signed_in(user, token, settings, status_code=201)


@post("/api/auth/login", opt=policy(PUBLIC), status_code=200, tags=["identity"])
async def log_in(
    data: JSONBody[LoginBody],
    request: AnyRequest,
    database: DatabaseArg,
    identity: IdentityArg,
    settings: SettingsArg,
) -> Response[SessionView]:
    """Signs in with user name and password."""
    client = _client(request)
    user = await logins.check_password(
        database,
        identity.passwords,
        username=without_nul(data.username.strip()),
        password=data.password,
        client=client,
    )
    async with database.transaction() as tx:
        token = await logins.open_login(tx, user, client, settings)
    return _signed_in(user, token, settings, status_code=200)


@post("/api/auth/logout", opt=policy(SIGNED_IN), status_code=204, tags=["identity"])
async def log_out(
    actor: ActorArg,
    database: DatabaseArg,
    identity: IdentityArg,
) -> Response[None]:
    """Ends this browser's login."""
    person = _person(actor)
    async with database.transaction() as tx:
        await logins.end(tx, person, identity, uuid.UUID(person.id))
    return Response(None, status_code=204, cookies=[_cookie("", max_age=0)])


@get("/api/me", opt=policy(SIGNED_IN), tags=["identity"])
async def me(actor: ActorArg, database: DatabaseArg) -> MeView:
    """The caller's account, and what this credential may do."""
    async with database.transaction() as tx:
        user = await repository.user_by_id(tx, actor.owner)
    if user is None:
        raise NotFound
    return me_view(user, actor)


@patch("/api/me", opt=policy(SIGNED_IN), tags=["identity"])
async def change_me(data: JSONBody[ProfileBody], actor: ActorArg, database: DatabaseArg) -> MeView:
    """Changes the caller's name, address and preferences."""
    person = _person(actor)
    changes = profile_changes(data)
    async with database.transaction() as tx:
        user = await repository.user_by_id(tx, person.owner, for_update=True)
        if user is not None and data.preferences is not UNSET:
            changes["preferences"] = names.merged_preferences(user.preferences, data.preferences)
        user = await accounts.change_own(tx, person, changes)
    return me_view(user, person)


@post("/api/me/password", opt=policy(SIGNED_IN), status_code=204, tags=["identity"])
async def change_password(
    data: JSONBody[PasswordBody],
    actor: ActorArg,
    request: AnyRequest,
    database: DatabaseArg,
    identity: IdentityArg,
) -> None:
    """Changes the caller's password and ends their other logins."""
    person = _person(actor)
    await logins.confirm_password(
        database, identity.passwords, person, data.current_password, client=_client(request)
    )
    check_new_password(data.new_password, username=person.name)
    fresh = await identity.passwords.hash(data.new_password)
    async with database.transaction() as tx:
        await accounts.change_own_password(tx, person, identity, fresh)


@get("/api/me/logins", opt=policy(SIGNED_IN), tags=["identity"])
async def list_logins(
    actor: ActorArg,
    database: DatabaseArg,
    settings: SettingsArg,
) -> LoginsView:
    """The browsers in which the caller is signed in."""
    person = _person(actor)
    async with database.transaction() as tx:
        found = await logins.list_own(tx, person, settings)
    return LoginsView(items=[login_view(login, current=person.id) for login in found])


@delete("/api/me/logins/{login_id:uuid}", opt=policy(SIGNED_IN), tags=["identity"])
async def end_login(
    login_id: FromPath[uuid.UUID],
    actor: ActorArg,
    database: DatabaseArg,
    identity: IdentityArg,
) -> None:
    """Signs the caller out of one browser."""
    async with database.transaction() as tx:
        await logins.end(tx, _person(actor), identity, login_id)


@get("/api/keys", opt=KEYS, tags=["identity"])
async def list_keys(actor: ActorArg, database: DatabaseArg) -> KeysView:
    """The caller's API keys."""
    async with database.transaction() as tx:
        keys = await api_keys.list_own(tx, actor)
    return KeysView(items=[KeyView(**key_fields(key)) for key in keys])


@post("/api/keys", opt=KEYS, tags=["identity"])
async def create_key(
    data: JSONBody[NewKeyBody], actor: ActorArg, database: DatabaseArg
) -> NewKeyView:
    """Makes an API key, which can do at most what its maker can."""
    async with database.transaction() as tx:
        key, text = await api_keys.create(
            tx,
            actor,
            name=names.display_name(data.name),
            scopes=data.scopes,
            expires_in_days=data.expires_in_days,
        )
    return NewKeyView(**key_fields(key), key=text)


@delete("/api/keys/{key_id:str}", opt=KEYS, tags=["identity"])
async def delete_key(
    key_id: FromPath[str],
    actor: ActorArg,
    database: DatabaseArg,
    identity: IdentityArg,
) -> None:
    """Ends one of the caller's API keys at once."""
    async with database.transaction() as tx:
        identity.revoked(tx, actor.owner)
        await api_keys.revoke(tx, actor, without_nul(key_id))


@get("/api/users", opt=USERS, tags=["identity"])
async def list_users(
    database: DatabaseArg,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    search: FromQuery[str | None] = None,
) -> Page[UserView]:
    """Accounts, the newest first."""
    size = page_limit(limit)
    before = _id_before(cursor)
    async with database.transaction() as tx:
        users = await repository.list_users(
            tx, before=before, search=without_nul(search) if search else None, limit=size + 1
        )
    more = encode_cursor(str(users[size - 1].id)) if len(users) > size else None
    return Page(items=[user_view(user) for user in users[:size]], next_cursor=more)


@post("/api/users", opt=USERS, tags=["identity"])
async def create_user(
    data: JSONBody[NewUserBody],
    actor: ActorArg,
    database: DatabaseArg,
    identity: IdentityArg,
) -> InvitedUserView:
    """Makes an account; without a password the answer holds a one-time sign-in link's token."""
    username = names.username(data.username)
    new = NewUser(
        username=username,
        role=data.role,
        display_name=names.display_name(data.display_name),
        email=names.email(data.email),
        password_hash=await _checked_hash(identity, data.password, username),
    )
    async with database.transaction() as tx:
        invitation = await accounts.create(tx, actor, new)
    return invited_view(invitation)


@get("/api/users/{user_id:uuid}", opt=USERS, tags=["identity"])
async def get_user(user_id: FromPath[uuid.UUID], database: DatabaseArg) -> UserView:
    """One account."""
    async with database.transaction() as tx:
        return user_view(await accounts.person(tx, user_id))


@patch("/api/users/{user_id:uuid}", opt=USERS, tags=["identity"])
async def change_user(
    user_id: FromPath[uuid.UUID],
    data: JSONBody[UserBody],
    actor: ActorArg,
    database: DatabaseArg,
    identity: IdentityArg,
) -> UserView:
    """Changes an account; who loses rights or gets a new password is signed out everywhere."""
    given = {"role": data.role, "status": data.status}
    changes = profile_changes(data)
    changes |= {name: value for name, value in given.items() if value is not UNSET}
    if data.password is not UNSET:
        async with database.transaction() as tx:
            username = (await accounts.person(tx, user_id)).username
        changes["password_hash"] = await _checked_hash(identity, data.password, username)
    async with database.transaction() as tx:
        return user_view(await accounts.change(tx, actor, identity, user_id, changes))


@post("/api/users/{user_id:uuid}/link", opt=USERS, status_code=201, tags=["identity"])
async def invite_again(
    user_id: FromPath[uuid.UUID], actor: ActorArg, database: DatabaseArg
) -> InvitedUserView:
    """A fresh one-time sign-in link for somebody who lost the first one or their password."""
    async with database.transaction() as tx:
        invitation = await accounts.invite_again(tx, actor, user_id)
    return invited_view(invitation)


def _client(request: AnyRequest) -> Client:
    agent = without_nul(request.headers.get("user-agent", "")[:300])
    return Client(ip=client_ip(request), user_agent=agent)


def _person(actor: Actor) -> Actor:
    """Passwords, logins and profiles are for people in a browser, not for keys that leaked."""
    if actor.kind is not ActorKind.USER:
        raise Forbidden("Sign in with a password to do this.")
    return actor


def _signed_in(
    user: User, token: str, settings: Settings, *, status_code: int
) -> Response[SessionView]:
    view = SessionView(user=user_view(user), permissions=sorted(ROLE_PERMISSIONS[user.role]))
    lasts = round(settings.login_absolute_hours * 3600)
    return Response(view, status_code=status_code, cookies=[_cookie(token, max_age=lasts)])


def _cookie(token: str, *, max_age: int) -> Cookie:
    return Cookie(
        key=SESSION_COOKIE,
        value=token,
        path="/",
        secure=True,
        httponly=True,
        samesite="lax",
        max_age=max_age,
    )


async def _checked_hash(identity: Identity, password: str | None, username: str) -> str | None:
    if password is None:
        return None
    check_new_password(password, username=username)
    return await identity.passwords.hash(password)


def _id_before(cursor: str | None) -> uuid.UUID | None:
    if not cursor:
        return None
    try:
        return uuid.UUID(decode_cursor(cursor, str)[0])
    except ValueError as error:
        problem = FieldError("cursor", "not valid")
        raise InvalidInput("The cursor is not one of ours.", fields=[problem]) from error


routes: list[ControllerRouterHandler] = [
    check_link,
    set_up,
    log_in,
    log_out,
    me,
    change_me,
    change_password,
    list_logins,
    end_login,
    list_keys,
    create_key,
    delete_key,
    list_users,
    create_user,
    get_user,
    change_user,
    invite_again,
]
