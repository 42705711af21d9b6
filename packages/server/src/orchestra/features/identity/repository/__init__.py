"""The SQL of identity. Times come from the caller, so that tests can set the clock."""

from orchestra.features.identity.repository.attempts import (
    count_attempt,
    purge,
    take_back_attempt,
)
from orchestra.features.identity.repository.keys import (
    active_key,
    insert_key,
    list_keys,
    revoke_keys,
    set_key_scopes,
    touch_key,
)
from orchestra.features.identity.repository.links import (
    drop_links,
    insert_link,
    usable_link,
    use_link,
)
from orchestra.features.identity.repository.locks import (
    FIRST_ADMIN_LOCK,
    LOCAL_KEY_LOCK,
    lock,
)
from orchestra.features.identity.repository.logins import (
    active_login,
    insert_login,
    list_logins,
    revoke_login,
    revoke_logins,
    revoke_oldest_logins,
    touch_login,
)
from orchestra.features.identity.repository.users import (
    insert_user,
    list_users,
    lock_administrators,
    system_user,
    update_user,
    user_by_id,
    user_names,
    user_with_password,
)

__all__ = [
    "FIRST_ADMIN_LOCK",
    "LOCAL_KEY_LOCK",
    "active_key",
    "active_login",
    "count_attempt",
    "drop_links",
    "insert_key",
    "insert_link",
    "insert_login",
    "insert_user",
    "list_keys",
    "list_logins",
    "list_users",
    "lock",
    "lock_administrators",
    "purge",
    "revoke_keys",
    "revoke_login",
    "revoke_logins",
    "revoke_oldest_logins",
    "set_key_scopes",
    "system_user",
    "take_back_attempt",
    "touch_key",
    "touch_login",
    "update_user",
    "usable_link",
    "use_link",
    "user_by_id",
    "user_names",
    "user_with_password",
]
