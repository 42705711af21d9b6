"""Which runs were lost with an agent, for who looks whom to blame.

Revision ID: 0014
Revises: 0013
"""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE INDEX task_attempts_lost ON task_attempts (agent_id, started_at)
        WHERE outcome = 'lost'
        """
    )


def downgrade() -> None:
    raise NotImplementedError("Restore a backup instead.")
