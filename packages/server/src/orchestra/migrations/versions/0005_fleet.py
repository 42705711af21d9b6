"""The fleet: drain, quarantine, health in words.

Revision ID: 0005
Revises: 0004
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

STATEMENTS: tuple[str, ...] = (
    # Somebody has asked that the agent gets nothing new; it stays so across its restarts.
    "ALTER TABLE agents ADD COLUMN drained_at timestamptz",
    "ALTER TABLE agents ADD COLUMN drained_by text NOT NULL DEFAULT ''",
    "ALTER TABLE agents ADD COLUMN drain_reason text NOT NULL DEFAULT ''",
    # Gets nothing until then (null: until somebody releases it), and after that one task at a time.
    "ALTER TABLE agents ADD COLUMN quarantined_at timestamptz",
    "ALTER TABLE agents ADD COLUMN quarantine_until timestamptz",
    "ALTER TABLE agents ADD COLUMN quarantined_by text NOT NULL DEFAULT ''",
    "ALTER TABLE agents ADD COLUMN quarantine_reason text NOT NULL DEFAULT ''",
    # How many followed on each other: each is twice as long as the one before.
    "ALTER TABLE agents ADD COLUMN quarantine_round integer NOT NULL DEFAULT 0",
    "ALTER TABLE agents ADD COLUMN quarantine_ended_at timestamptz",
    # The tasks (or probes) that it has failed by its own fault since it last did one well.
    "ALTER TABLE agents ADD COLUMN blamed uuid[] NOT NULL DEFAULT '{}'",
    # What its control plane last saw of its stream, its runs and its probes.
    "ALTER TABLE agents ADD COLUMN health jsonb",
    """
    CREATE INDEX agents_standing ON agents (control_plane_id)
    WHERE drained_at IS NOT NULL OR quarantined_at IS NOT NULL OR blamed <> '{}'
    """,
    # A control plane that has been silent for long is dead, and its agents are not connected.
    "CREATE TABLE control_planes (id text PRIMARY KEY, seen_at timestamptz NOT NULL)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("Restore a backup instead.")
