"""Blobs in object storage, lists of blobs, and what is to be removed outside the database.

Revision ID: 0007
Revises: 0005
"""

from alembic import op

revision = "0007"
down_revision = "0005"
branch_labels = None
depends_on = None

STATEMENTS: tuple[str, ...] = (
    # Where the content is: in blob_chunks if there is no bucket. What is there stays where it is.
    """
    ALTER TABLE blob_uploads
        ADD COLUMN bucket text,
        ADD COLUMN object_key text,
        ADD CONSTRAINT blob_uploads_place CHECK ((bucket IS NULL) = (object_key IS NULL))
    """,
    # Objects that nobody needs any more, until they have been removed.
    """
    CREATE TABLE blob_garbage (
        bucket text NOT NULL,
        object_key text NOT NULL,
        due_at timestamptz NOT NULL,
        PRIMARY KEY (bucket, object_key)
    )
    """,
    "CREATE INDEX blob_garbage_due ON blob_garbage (due_at)",
    # However a row goes, its object goes with it. An upload that is not complete may still be on
    # its way, so its object is looked for once it must have arrived.
    """
    CREATE FUNCTION blob_object_is_garbage() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO blob_garbage (bucket, object_key, due_at)
        VALUES (
            OLD.bucket,
            OLD.object_key,
            now() + CASE WHEN OLD.sha256 IS NULL THEN interval '15 minutes' ELSE interval '0' END
        )
        ON CONFLICT DO NOTHING;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER blob_object_is_garbage AFTER DELETE ON blob_uploads
    FOR EACH ROW WHEN (OLD.bucket IS NOT NULL) EXECUTE FUNCTION blob_object_is_garbage()
    """,
    "CREATE INDEX blob_owners_newest ON blob_owners (user_id, created_at DESC, sha256 DESC)",
    "CREATE INDEX blob_owners_all ON blob_owners (created_at DESC, sha256 DESC, user_id DESC)",
    "DROP INDEX blob_owners_user",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("Restore a backup instead.")
