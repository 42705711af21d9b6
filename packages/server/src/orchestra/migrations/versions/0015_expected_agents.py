"""Agents that have a key and have not come yet have a row, as those that come now.

Revision ID: 0015
Revises: 0014
"""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        INSERT INTO agents (id, owner_id, name, shared, slots, reason, created_at, updated_at)
        SELECT gen_random_uuid(), key.owner_id, key.name, false, 0,
            'enrolled by ' || owner.username || ' at '
                || to_char(min(key.created_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')
                || ' UTC, has not connected yet',
            min(key.created_at), now()
        FROM agent_keys AS key JOIN users_v2 AS owner ON owner.id = key.owner_id
        WHERE key.revoked_at IS NULL
        GROUP BY key.owner_id, key.name, owner.username
        ON CONFLICT (owner_id, name) DO NOTHING
        """
    )


def downgrade() -> None:
    raise NotImplementedError("Restore a backup instead.")
