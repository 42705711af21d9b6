"""Orchestration: steps, children, approvals, waiting tasks.

Revision ID: 0003
Revises: 0002
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STATES = (
    "ALTER TABLE tasks DROP CONSTRAINT tasks_state_check",
    """
    ALTER TABLE tasks ADD CONSTRAINT tasks_state_check CHECK (state IN
        ('queued', 'running', 'waiting', 'cancelling', 'succeeded', 'failed', 'cancelled'))
    """,
)

TREES = (
    # `lineage` are the hashes of what its ancestors do: a child that would do one of them again is refused.
    """
    ALTER TABLE tasks
        ADD COLUMN parent_id uuid,
        ADD COLUMN root_id uuid,
        ADD COLUMN depth smallint NOT NULL DEFAULT 0,
        ADD COLUMN child_name text,
        ADD COLUMN detached boolean NOT NULL DEFAULT false,
        ADD COLUMN lineage bytea[] NOT NULL DEFAULT '{}'
    """,
    "CREATE INDEX tasks_children ON tasks (parent_id, id) WHERE parent_id IS NOT NULL",
    # What a waiting task waits for: steps by name, all or one of them, and a time.
    """
    ALTER TABLE tasks
        ADD COLUMN wait_names text[] NOT NULL DEFAULT '{}',
        ADD COLUMN wait_any boolean NOT NULL DEFAULT false,
        ADD COLUMN wait_until timestamptz
    """,
    "CREATE INDEX tasks_wake ON tasks (wait_until) WHERE state = 'waiting' AND wait_until IS NOT NULL",
    # The task at which somebody said stop, and what the run's agent tried to write when its lease was over.
    """
    ALTER TABLE tasks
        ADD COLUMN cancelled_with uuid,
        ADD COLUMN refused_writes integer NOT NULL DEFAULT 0,
        ADD COLUMN last_refused_at timestamptz
    """,
    "CREATE INDEX tasks_cancelled_with ON tasks (cancelled_with, id) WHERE cancelled_with IS NOT NULL",
)

STEPS = (
    # An effect is settled from the beginning; a child, a question or a timer once it has come to its end.
    """
    CREATE TABLE task_steps (
        task_id uuid NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
        name text NOT NULL,
        kind text NOT NULL CHECK (kind IN ('effect', 'child', 'question', 'timer')),
        output jsonb,
        error jsonb,
        child_id uuid,
        approval_id uuid,
        due_at timestamptz,
        epoch bigint NOT NULL,
        created_at timestamptz NOT NULL,
        settled_at timestamptz,
        PRIMARY KEY (task_id, name)
    )
    """,
    "CREATE INDEX task_steps_child ON task_steps (child_id) WHERE child_id IS NOT NULL",
)

APPROVALS = (
    """
    CREATE TABLE approvals (
        id uuid PRIMARY KEY,
        task_id uuid NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
        user_id uuid NOT NULL,
        name text NOT NULL,
        kind text NOT NULL CHECK (kind IN ('approve', 'ask')),
        question text NOT NULL,
        data jsonb NOT NULL,
        data_hash text NOT NULL,
        choices text[] NOT NULL DEFAULT '{}',
        state text NOT NULL CHECK (state IN ('open', 'approved', 'rejected', 'answered', 'expired', 'withdrawn')),
        answer jsonb,
        comment text NOT NULL DEFAULT '',
        answered_by text,
        answered_at timestamptz,
        created_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        UNIQUE (task_id, name)
    )
    """,
    "CREATE INDEX approvals_of_user ON approvals (user_id, id DESC)",
    "CREATE INDEX approvals_open ON approvals (expires_at) WHERE state = 'open'",
)

WORKFLOWS = (
    # A version never changes, so a run finishes on the one on which it began.
    """
    CREATE TABLE workflows (
        user_id uuid NOT NULL REFERENCES users_v2 (id) ON DELETE CASCADE,
        name text NOT NULL,
        version integer NOT NULL,
        spec jsonb NOT NULL,
        created_at timestamptz NOT NULL,
        PRIMARY KEY (user_id, name, version)
    )
    """,
    """
    CREATE TABLE workflow_runs (
        task_id uuid PRIMARY KEY REFERENCES tasks (id) ON DELETE CASCADE,
        user_id uuid NOT NULL,
        name text NOT NULL,
        version integer NOT NULL,
        FOREIGN KEY (user_id, name, version) REFERENCES workflows ON DELETE CASCADE
    )
    """,
    "CREATE INDEX workflow_runs_of ON workflow_runs (user_id, name, task_id DESC)",
)

STATEMENTS: tuple[str, ...] = (*STATES, *TREES, *STEPS, *APPROVALS, *WORKFLOWS)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("Restore a backup instead.")
