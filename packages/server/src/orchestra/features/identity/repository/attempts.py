"""Attempts to sign in, and what is forgotten in time."""

from datetime import datetime

from orchestra.foundation.database import Transaction


async def count_attempt(
    tx: Transaction,
    key: bytes,
    *,
    now: datetime,
    free: int,
    longest_seconds: float,
    window_seconds: float,
) -> float | None:
    """Counts an attempt; while the key is blocked it returns the seconds left instead."""
    counted = await tx.fetch_value(
        """
        INSERT INTO login_throttle AS t (key, failures, updated_at) VALUES ($1, 1, $2)
        ON CONFLICT (key) DO UPDATE SET
            updated_at = $2,
            failures = CASE
                WHEN t.updated_at < $2 - make_interval(secs => $5) THEN 1 ELSE t.failures + 1
            END,
            blocked_until = CASE
                WHEN t.updated_at >= $2 - make_interval(secs => $5) AND t.failures + 1 >= $3
                THEN $2 + make_interval(secs => least($4, 2.0 ^ least(t.failures + 1 - $3, 30)))
            END
        WHERE t.blocked_until IS NULL OR t.blocked_until <= $2
        RETURNING failures
        """,
        key,
        now,
        free,
        longest_seconds,
        window_seconds,
    )
    if counted is not None:
        return None
    until: datetime | None = await tx.fetch_value(
        "SELECT blocked_until FROM login_throttle WHERE key = $1", key
    )
    return (until - now).total_seconds() if until else 0.0


async def take_back_attempt(tx: Transaction, key: bytes, *, forget: bool) -> None:
    if forget:
        await tx.execute("DELETE FROM login_throttle WHERE key = $1", key)
        return
    await tx.execute(
        """
        UPDATE login_throttle SET failures = greatest(failures - 1, 0), blocked_until = NULL
        WHERE key = $1
        """,
        key,
    )


async def purge(tx: Transaction, *, ended_before: datetime, attempts_before: datetime) -> None:
    """Deletes what no longer means anything: ended logins, dead links, old attempts."""
    await tx.execute("DELETE FROM logins WHERE expires_at < $1 OR revoked_at < $1", ended_before)
    await tx.execute("DELETE FROM signin_links WHERE expires_at < $1", ended_before)
    await tx.execute("DELETE FROM login_throttle WHERE updated_at < $1", attempts_before)
