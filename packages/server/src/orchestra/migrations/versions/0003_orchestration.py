"""Orchestration: steps, children, approvals, waiting tasks.

Revision ID: 0003
Revises: 0002
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STATEMENTS: tuple[str, ...] = (
    "ALTER TABLE tasks DROP CONSTRAINT tasks_state_check",
    """
    ALTER TABLE tasks ADD CONSTRAINT tasks_state_check CHECK (state IN
        ('queued', 'running', 'waiting', 'cancelling', 'succeeded', 'failed', 'cancelled'))
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("Restore a backup instead.")
