"""What agents say of runs that are not theirs any more.

Revision ID: 0017
Revises: 0016
"""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Of a lease that was taken back: when its agent has last spoken of it, and has said that it has stopped.
    op.execute(
        """
        ALTER TABLE task_attempts
            ADD COLUMN last_heard_at timestamptz,
            ADD COLUMN stopped_at timestamptz
        """
    )


def downgrade() -> None:
    raise NotImplementedError("Restore a backup instead.")
