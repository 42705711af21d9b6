"""Who is calling: accounts, logins, API keys, one-time links and the credentials of runs.

It knows of `audit` only. What a lease or an agent's key is, others know and hand in.
"""

from orchestra.features.identity.events import REVOKED, revocation, revoked_by
from orchestra.features.identity.repository import user_names
from orchestra.features.identity.service.api_keys import ensure_local_key
from orchestra.features.identity.service.authenticator import (
    AGENT_KEY_PREFIX,
    AgentKeyCheck,
    Identity,
    RunCheck,
    acting_for,
)
from orchestra.features.identity.service.links import first_admin_link
from orchestra.features.identity.service.secrets import MintedKey, ParsedKey, mint_key, parse_key

__all__ = [
    "AGENT_KEY_PREFIX",
    "REVOKED",
    "AgentKeyCheck",
    "Identity",
    "MintedKey",
    "ParsedKey",
    "RunCheck",
    "acting_for",
    "ensure_local_key",
    "first_admin_link",
    "mint_key",
    "parse_key",
    "revocation",
    "revoked_by",
    "user_names",
]
