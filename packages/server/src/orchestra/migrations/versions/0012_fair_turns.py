"""Turns of users between queues.

Revision ID: 0012
Revises: 0011
"""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The user whose id is zero is nobody: the row says when the last task began that was served.
    op.execute(
        """
        CREATE TABLE fair_turns (
            priority smallint NOT NULL,
            user_id uuid NOT NULL,
            virtual_time double precision NOT NULL,
            PRIMARY KEY (priority, user_id)
        ) WITH (fillfactor = 50)
        """
    )


def downgrade() -> None:
    raise NotImplementedError("Restore a backup instead.")
