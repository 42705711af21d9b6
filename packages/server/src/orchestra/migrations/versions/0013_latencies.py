"""How long the tasks of an agent take of late, for the other control planes.

Revision ID: 0013
Revises: 0012
"""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE agents ADD COLUMN latency_seconds double precision NOT NULL DEFAULT 0")


def downgrade() -> None:
    raise NotImplementedError("Restore a backup instead.")
