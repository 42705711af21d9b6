"""Who can have brought all failures of an agent about alone.

Revision ID: 0016
Revises: 0015
"""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # It is read with `blamed`, and only while that is not empty.
    op.execute("ALTER TABLE agents ADD COLUMN blamed_alone uuid[] NOT NULL DEFAULT '{}'")


def downgrade() -> None:
    raise NotImplementedError("Restore a backup instead.")
