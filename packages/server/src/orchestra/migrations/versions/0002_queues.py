"""Queues: fair shares between users, limits of use and rate, pauses.

Revision ID: 0002
Revises: 0001
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

FAIRNESS = (
    # Start-time fair queueing (Goyal, Vin and Cheng, 1996): the virtual time at which a task may start.
    "ALTER TABLE tasks ADD COLUMN fair_tag double precision NOT NULL DEFAULT 0",
    # The bucket of a limit that has no room for it; it is no candidate until it has.
    "ALTER TABLE tasks ADD COLUMN blocked_on text",
    # What each user has been promised. What comes back (a retry, a task that had waited) has a line of its own, so that
    # what was begun is not finished after everything that was not.
    """
    CREATE TABLE fair_shares (
        queue text NOT NULL,
        priority smallint NOT NULL,
        user_id uuid NOT NULL,
        is_return boolean NOT NULL,
        start_tag double precision NOT NULL,
        finish_tag double precision NOT NULL,
        PRIMARY KEY (queue, priority, user_id, is_return)
    ) WITH (fillfactor = 50)
    """,
    # The tag that was claimed last, and when: queues of equal right take turns.
    """
    CREATE TABLE fair_clocks (
        queue text NOT NULL,
        priority smallint NOT NULL,
        virtual_time double precision NOT NULL,
        moved_at timestamptz NOT NULL,
        PRIMARY KEY (queue, priority)
    ) WITH (fillfactor = 50)
    """,
    """
    CREATE TABLE user_weights (
        user_id uuid PRIMARY KEY REFERENCES users_v2 (id) ON DELETE CASCADE,
        weight double precision NOT NULL CHECK (weight > 0)
    )
    """,
    "DROP INDEX tasks_waiting",
    # The user is in it for agents that work for one person: the tasks of others are then skipped within the index.
    """
    CREATE INDEX tasks_waiting ON tasks (queue, priority DESC, fair_tag, id, user_id)
    WHERE state = 'queued' AND run_after IS NULL AND blocked_on IS NULL
    """,
    "CREATE INDEX tasks_delayed ON tasks (run_after) WHERE state = 'queued' AND run_after IS NOT NULL",
    """
    CREATE INDEX tasks_blocked ON tasks (queue, blocked_on, priority DESC, fair_tag, id)
    WHERE state = 'queued' AND blocked_on IS NOT NULL
    """,
    # With the queue, so that waiting tasks can be counted from it alone.
    "DROP INDEX tasks_queue_deadline",
    "CREATE INDEX tasks_queue_deadline ON tasks (queue_deadline) INCLUDE (queue) WHERE state = 'queued'",
)

QUEUES = (
    # Rows only for what was changed; null takes the setting.
    """
    CREATE TABLE queues (
        name text PRIMARY KEY,
        paused_at timestamptz,
        paused_by text,
        max_queued integer CHECK (max_queued >= 0),
        balancing text,
        keep_days double precision CHECK (keep_days >= 0),
        keep_count bigint CHECK (keep_count >= 0),
        updated_at timestamptz NOT NULL
    )
    """,
    """
    CREATE TABLE limits (
        id uuid PRIMARY KEY,
        scope text NOT NULL CHECK (scope IN ('queue', 'user', 'key')),
        -- Null: all queues. A queue's own limit names it.
        queue text CHECK (scope <> 'queue' OR queue IS NOT NULL),
        -- Of a user's limit; null: each user.
        user_id uuid REFERENCES users_v2 (id) ON DELETE CASCADE,
        key_pointer text CHECK ((scope = 'key') = (key_pointer IS NOT NULL)),
        key_path text[],
        max_running integer CHECK (max_running > 0),
        rate double precision CHECK (rate > 0),
        per_seconds double precision CHECK (per_seconds > 0),
        burst double precision CHECK (burst >= 1),
        created_at timestamptz NOT NULL,
        CHECK (max_running IS NOT NULL OR rate IS NOT NULL),
        CHECK ((rate IS NULL) = (per_seconds IS NULL) AND (rate IS NULL) = (burst IS NULL))
    )
    """,
    # Tokens of a rate limit as of `refilled_at`.
    """
    CREATE TABLE limit_tokens (
        bucket text PRIMARY KEY,
        limit_id uuid NOT NULL REFERENCES limits (id) ON DELETE CASCADE,
        tokens double precision NOT NULL,
        refilled_at timestamptz NOT NULL
    ) WITH (fillfactor = 50)
    """,
    # Which runs use a bucket. A row counts while its task is held under that epoch, so nobody has to give it back.
    """
    CREATE TABLE limit_holds (
        bucket text NOT NULL,
        task_id uuid NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
        epoch bigint NOT NULL,
        limit_id uuid NOT NULL REFERENCES limits (id) ON DELETE CASCADE,
        PRIMARY KEY (bucket, task_id)
    )
    """,
    "CREATE INDEX limit_holds_limit ON limit_holds (limit_id)",
    "CREATE INDEX limit_holds_task ON limit_holds (task_id)",
)

STATEMENTS: tuple[str, ...] = (*FAIRNESS, *QUEUES)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("Restore a backup instead.")
