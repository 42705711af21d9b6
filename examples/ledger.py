"""The outside world of the examples: what must happen once, with the key it happened under.

Like a bank or a mail service with idempotency keys, it answers a second request under the same key
as it answered the first, and does nothing. It stands in a file of its own that no server knows.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

PATH = Path(os.environ.get("LEDGER", "ledger.db"))
WAIT_SECONDS = 30.0  # for another process that writes


def record(key: str, what: str) -> int:
    """Do the effect, once for each key; return its number."""
    with closing(sqlite3.connect(PATH, timeout=WAIT_SECONDS)) as database, database:
        database.execute(
            "CREATE TABLE IF NOT EXISTS effects"
            " (number INTEGER PRIMARY KEY, key TEXT UNIQUE, what TEXT, asked INTEGER DEFAULT 1)"
        )
        row = database.execute(
            "INSERT INTO effects (key, what) VALUES (?, ?)"
            " ON CONFLICT (key) DO UPDATE SET asked = asked + 1 RETURNING number",
            (key, what),
        ).fetchone()
    return int(row[0])
