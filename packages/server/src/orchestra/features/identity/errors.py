"""What identity refuses, and how it says so."""

from orchestra.foundation.errors import Conflict, InvalidInput, RateLimited, Unauthenticated


class InvalidCredentials(Unauthenticated):
    """The user name or the password is wrong."""

    code = "invalid_credentials"


class InvalidLink(Unauthenticated):
    """This link was used, has expired or was replaced; ask for a new one."""

    code = "invalid_link"


class TooManyAttempts(RateLimited):
    """Too many attempts to sign in; wait a moment."""

    code = "too_many_attempts"


class WeakPassword(InvalidInput):
    """This password is too easy to guess."""

    code = "weak_password"


class WrongPassword(InvalidInput):
    """The present password is not right."""

    code = "wrong_password"


class UsernameTaken(Conflict):
    """Somebody has this user name already."""

    code = "username_taken"


class LastAdministrator(Conflict):
    """This is the last active administrator; make somebody else one first."""

    code = "last_administrator"


class TooManyKeys(Conflict):
    """You have too many API keys; delete one that you no longer need."""

    code = "too_many_keys"
