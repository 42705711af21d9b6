"""What identity announces."""

import uuid

# Core NATS; the payload is the id of a user whose logins or rights have ended, and the name of the
# agent if it is only that one's key. Feeds close at once, streams end, and every process drops what
# it remembers of that user.
REVOKED = "identity.revoked"


def revocation(user_id: uuid.UUID, *, agent: str = "") -> bytes:
    return f"{user_id} {agent}".encode() if agent else str(user_id).encode()


def revoked_by(payload: bytes) -> tuple[uuid.UUID, str]:
    """The user, and the agent if there is one; raises ValueError."""
    user_id, _, agent = payload.decode().partition(" ")
    return uuid.UUID(user_id), agent
