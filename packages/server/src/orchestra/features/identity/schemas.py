"""What identity says and hears over REST."""

import uuid
from datetime import datetime
from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from orchestra.features.identity.service import names
from orchestra.features.identity.service.accounts import Invitation
from orchestra.features.identity.types import ApiKey, LinkPurpose, Login, User, UserStatus
from orchestra.foundation.auth import Actor, Permission, Role
from orchestra.foundation.web import Body, View

# Shapes are bounded here, before anything is hashed or looked up; the services say what is wrong in
# words.
Token = Annotated[str, Meta(min_length=1, max_length=200)]
Text = Annotated[str, Meta(max_length=300)]
# Longer than what may be chosen, so that the message can say so.
Password = Annotated[str, Meta(max_length=1_024)]


class LinkBody(Body):
    token: Token


class SetupBody(Body):
    """`username` is needed for the first administrator only."""

    token: Token
    password: Password
    username: Text | None = None
    display_name: Text = ""


class LoginBody(Body):
    username: Text
    password: Password


class PasswordBody(Body):
    current_password: Password
    new_password: Password


class ProfileBody(Body):
    """Fields left out stay as they are; in `preferences` null removes a key."""

    display_name: Text | UnsetType = UNSET
    email: Text | UnsetType | None = UNSET
    preferences: dict[str, Any] | UnsetType = UNSET


class NewUserBody(Body):
    """Without a password the answer holds the token of a one-time sign-in link."""

    username: Text
    role: Role
    password: Password | None = None
    display_name: Text = ""
    email: Text | None = None


class UserBody(Body):
    """Fields left out stay as they are."""

    role: Role | UnsetType = UNSET
    status: UserStatus | UnsetType = UNSET
    display_name: Text | UnsetType = UNSET
    email: Text | UnsetType | None = UNSET
    password: Password | UnsetType = UNSET


class NewKeyBody(Body):
    name: Annotated[str, Meta(min_length=1, max_length=100)]
    scopes: Annotated[list[Permission], Meta(min_length=1, max_length=50)]
    expires_in_days: Annotated[int, Meta(ge=1, le=3_650)] | None = None


class LinkView(View):
    """`needs_account`: the link's owner chooses a user name too, not only a password."""

    purpose: LinkPurpose
    needs_account: bool
    username: str | None
    expires_at: datetime


class UserView(View):
    id: uuid.UUID
    username: str
    display_name: str
    email: str | None
    avatar_url: str | None
    role: Role
    status: UserStatus
    preferences: dict[str, Any]
    created_at: datetime
    last_login_at: datetime | None


class MeView(UserView):
    permissions: list[Permission]


class InvitedUserView(UserView):
    """`link_token` is shown once; it makes the link that lets the person choose a password."""

    link_token: str | None


class SessionView(View):
    user: UserView
    permissions: list[Permission]


class LoginView(View):
    id: uuid.UUID
    created_at: datetime
    last_seen_at: datetime
    ip: str
    user_agent: str
    current: bool


class LoginsView(View):
    items: list[LoginView]


class KeyView(View):
    """`prefix` is the part of the key that may be shown."""

    id: str
    name: str
    prefix: str
    scopes: list[Permission]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


class NewKeyView(KeyView):
    """`key` is shown this once."""

    key: str


class KeysView(View):
    items: list[KeyView]


def profile_changes(body: ProfileBody | UserBody) -> dict[str, Any]:
    """The name and address that a request sets; raises InvalidInput."""
    changes: dict[str, Any] = {}
    if body.display_name is not UNSET:
        changes["display_name"] = names.display_name(body.display_name)
    if body.email is not UNSET:
        changes["email"] = names.email(body.email)
    return changes


def user_fields(user: User) -> dict[str, Any]:
    return {name: getattr(user, name) for name in UserView.__struct_fields__}


def user_view(user: User) -> UserView:
    return UserView(**user_fields(user))


def me_view(user: User, actor: Actor) -> MeView:
    return MeView(**user_fields(user), permissions=sorted(actor.permissions))


def invited_view(invitation: Invitation) -> InvitedUserView:
    return InvitedUserView(**user_fields(invitation.user), link_token=invitation.link_token)


def login_view(login: Login, *, current: str) -> LoginView:
    return LoginView(
        id=login.id,
        created_at=login.created_at,
        last_seen_at=login.last_seen_at,
        ip=login.ip,
        user_agent=login.user_agent,
        current=str(login.id) == current,
    )


def key_fields(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "prefix": f"aoc_{key.id}",
        "scopes": list(key.scopes),
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "last_used_at": key.last_used_at,
    }
