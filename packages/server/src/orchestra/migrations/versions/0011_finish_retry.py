"""When somebody is told again of an end of which he could not be told.

Revision ID: 0011
Revises: 0010
"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Null: nothing has failed.
    op.execute("ALTER TABLE tasks ADD COLUMN finish_retry_at timestamptz")


def downgrade() -> None:
    raise NotImplementedError("Restore a backup instead.")
