"""What may happen only once at a time."""

from orchestra.foundation.database import Transaction

# Any fixed numbers, unlike those of other features.
FIRST_ADMIN_LOCK = 7_203_320
LOCAL_KEY_LOCK = 7_203_321


async def lock(tx: Transaction, number: int) -> None:
    """Waits for the others who do the same, until the end of the transaction."""
    await tx.execute("SELECT pg_advisory_xact_lock($1)", number)
