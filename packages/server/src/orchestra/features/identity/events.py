"""What identity announces."""

# Core NATS; the payload is the id of a user whose logins or rights have ended. Feeds close at once,
# and every process drops what it remembers of that user.
REVOKED = "identity.revoked"
