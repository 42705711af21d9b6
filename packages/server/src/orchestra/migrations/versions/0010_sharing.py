"""Whether somebody has decided for whom an agent works.

Revision ID: 0010
Revises: 0007
"""

from alembic import op

revision = "0010"
down_revision = "0007"
branch_labels = None
depends_on = None

STATEMENTS: tuple[str, ...] = (
    # Null: nobody has; an administrator's agent is shared, another one is not.
    "ALTER TABLE agents ADD COLUMN shared_by_decision boolean",
    "DROP INDEX agents_standing",
    """
    CREATE INDEX agents_standing ON agents (control_plane_id)
    WHERE drained_at IS NOT NULL OR quarantined_at IS NOT NULL OR blamed <> '{}'
        OR shared_by_decision IS NOT NULL
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("Restore a backup instead.")
