"""Timing and ends: schedules, deadlines, dead letters, retention, blobs.

Revision ID: 0004
Revises: 0003
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TIMING = (
    "ALTER TABLE tasks ADD COLUMN retry jsonb",
    # The end of the whole task: every attempt and every wait.
    "ALTER TABLE tasks ADD COLUMN deadline timestamptz",
    "CREATE INDEX tasks_deadline ON tasks (deadline) WHERE deadline IS NOT NULL AND finished_at IS NULL",
    # How many of its agents were lost while they had it.
    "ALTER TABLE tasks ADD COLUMN agents_lost smallint NOT NULL DEFAULT 0",
    # Keys are forgotten after a while; in the order of ids, which is that of submission.
    "CREATE INDEX tasks_keyed ON tasks (id) WHERE idempotency_key IS NOT NULL",
)

DEAD_LETTERS = (
    "ALTER TABLE tasks ADD COLUMN replay_of uuid",
    "ALTER TABLE tasks ADD COLUMN replayed_as uuid",
    "ALTER TABLE tasks ADD COLUMN discarded_at timestamptz",
    # The same for failures that differ only in their numbers and ids.
    r"""
    ALTER TABLE tasks ADD COLUMN fingerprint text GENERATED ALWAYS AS (
        left(md5((error ->> 'code') || ' ' || regexp_replace(
            lower(error ->> 'message'),
            '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\w*[0-9]\w*([.,:][0-9]+)*', '#', 'g'
        )), 16)
    ) STORED
    """,
    # A child's failure is its parent's to judge.
    """
    CREATE INDEX tasks_dead ON tasks (fingerprint, id) INCLUDE (user_id, finished_at)
    WHERE state = 'failed' AND replayed_as IS NULL AND discarded_at IS NULL AND parent_id IS NULL
    """,
)

RETENTION = (
    # For a queue that keeps less than the others, by age or by number.
    "CREATE INDEX tasks_kept ON tasks (queue, finished_at) WHERE finished_at IS NOT NULL",
    "CREATE INDEX model_calls_age ON model_calls (created_at)",
)

SCHEDULES = (
    """
    CREATE TABLE schedules (
        id uuid PRIMARY KEY,
        user_id uuid NOT NULL REFERENCES users_v2 (id) ON DELETE CASCADE,
        name text NOT NULL,
        cron text,
        timezone text NOT NULL DEFAULT 'UTC',
        at timestamptz,
        template jsonb NOT NULL,
        overlap text NOT NULL CHECK (overlap IN ('skip', 'queue', 'cancel_previous')),
        catch_up text NOT NULL CHECK (catch_up IN ('none', 'one', 'all')),
        -- The next time that cron or `at` says; null when there is none any more.
        next_at timestamptz,
        -- Times that have come and whose task waits for the end of the one before.
        pending timestamptz[] NOT NULL DEFAULT '{}',
        -- When a worker has to look at it.
        wake_at timestamptz,
        last_at timestamptz,
        last_task_id uuid,
        last_error text,
        skipped bigint NOT NULL DEFAULT 0,
        paused_at timestamptz,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        CHECK ((cron IS NULL) <> (at IS NULL))
    )
    """,
    "CREATE INDEX schedules_of_user ON schedules (user_id, id DESC)",
    "CREATE UNIQUE INDEX schedules_name ON schedules (user_id, name)",
    "CREATE INDEX schedules_due ON schedules (wake_at) WHERE wake_at IS NOT NULL",
    "CREATE INDEX schedules_task ON schedules (last_task_id) WHERE last_task_id IS NOT NULL",
)

BLOBS = (
    # An upload is made of pieces, each of its own transaction; a blob is an upload that is complete.
    """
    CREATE TABLE blob_uploads (
        id uuid PRIMARY KEY,
        sha256 bytea UNIQUE,
        size bigint NOT NULL DEFAULT 0,
        touched_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX blob_uploads_touched ON blob_uploads (touched_at)",
    """
    CREATE TABLE blob_chunks (
        upload_id uuid NOT NULL REFERENCES blob_uploads (id) ON DELETE CASCADE,
        position integer NOT NULL,
        content bytea NOT NULL,
        PRIMARY KEY (upload_id, position)
    )
    """,
    # Large things are mostly compressed already.
    "ALTER TABLE blob_chunks ALTER COLUMN content SET STORAGE EXTERNAL",
    # Who has uploaded it; a run does so for the person behind it, and may itself read what it has uploaded.
    """
    CREATE TABLE blob_owners (
        sha256 bytea NOT NULL REFERENCES blob_uploads (sha256) ON DELETE CASCADE,
        user_id uuid NOT NULL REFERENCES users_v2 (id) ON DELETE CASCADE,
        task_id uuid,
        media_type text NOT NULL,
        created_at timestamptz NOT NULL,
        UNIQUE NULLS NOT DISTINCT (sha256, user_id, task_id)
    )
    """,
    "CREATE INDEX blob_owners_user ON blob_owners (user_id)",
    # What the inputs and results of tasks refer to is kept as long as they are.
    """
    CREATE TABLE blob_references (
        task_id uuid NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
        sha256 bytea NOT NULL REFERENCES blob_uploads (sha256),
        parent_id uuid,
        user_id uuid NOT NULL,
        PRIMARY KEY (task_id, sha256)
    )
    """,
    "CREATE INDEX blob_references_blob ON blob_references (sha256)",
)

STATEMENTS: tuple[str, ...] = (*TIMING, *DEAD_LETTERS, *RETENTION, *SCHEDULES, *BLOBS)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("Restore a backup instead.")
