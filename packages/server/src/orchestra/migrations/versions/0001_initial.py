"""The first schema: identity, audit, providers, agents, tasks, conversations and the outbox.

Revision ID: 0001
Revises:
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

IDENTITY = (
    "CREATE TYPE user_status AS ENUM ('active', 'disabled')",
    """
    CREATE TABLE users_v2 (
        id uuid PRIMARY KEY,
        username varchar(50) NOT NULL,
        email text,
        display_name varchar(100) NOT NULL DEFAULT '',
        avatar_url text,
        status user_status NOT NULL DEFAULT 'active',
        role text NOT NULL CHECK (role IN ('admin', 'member', 'viewer')),
        -- The account behind this machine's own key: no password, in no list and in no count.
        is_system boolean NOT NULL DEFAULT false,
        password_hash text,
        preferences jsonb NOT NULL DEFAULT '{}',
        legacy_id bigint UNIQUE,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        last_login_at timestamptz
    )
    """,
    "CREATE UNIQUE INDEX users_v2_username ON users_v2 (lower(username))",
    # A link signs one person in once: the first administrator, or a user whom an administrator invites.
    """
    CREATE TABLE signin_links (
        token_hash bytea PRIMARY KEY,
        purpose text NOT NULL CHECK (purpose IN ('first_admin', 'sign_in')),
        user_id uuid REFERENCES users_v2 (id) ON DELETE CASCADE,
        created_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        used_at timestamptz
    )
    """,
    """
    CREATE TABLE logins (
        id uuid PRIMARY KEY,
        user_id uuid NOT NULL REFERENCES users_v2 (id) ON DELETE CASCADE,
        token_hash bytea NOT NULL UNIQUE,
        created_at timestamptz NOT NULL,
        last_seen_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        ip text NOT NULL DEFAULT '',
        user_agent text NOT NULL DEFAULT '',
        revoked_at timestamptz
    )
    """,
    "CREATE INDEX logins_user ON logins (user_id, created_at DESC)",
    """
    CREATE TABLE api_keys (
        id text PRIMARY KEY,
        user_id uuid NOT NULL REFERENCES users_v2 (id) ON DELETE CASCADE,
        name text NOT NULL,
        secret_hash bytea NOT NULL,
        scopes text[] NOT NULL,
        created_at timestamptz NOT NULL,
        expires_at timestamptz,
        last_used_at timestamptz,
        revoked_at timestamptz
    )
    """,
    "CREATE INDEX api_keys_user ON api_keys (user_id, created_at DESC)",
    # Attempts to sign in, by user name and by address; a row is dropped once its owner signs in.
    """
    CREATE TABLE login_throttle (
        key bytea PRIMARY KEY,
        failures integer NOT NULL,
        updated_at timestamptz NOT NULL,
        blocked_until timestamptz
    )
    """,
)

AUDIT = (
    # Rows are chained by hash, so that a row taken out or changed is found; `hash` covers the row and `previous_hash`.
    """
    CREATE TABLE audit_log (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        at timestamptz NOT NULL,
        actor_kind text NOT NULL,
        actor_id text NOT NULL,
        actor_name text NOT NULL,
        action text NOT NULL,
        target_kind text NOT NULL,
        target_id text NOT NULL,
        details jsonb NOT NULL DEFAULT '{}',
        ip text NOT NULL DEFAULT '',
        request_id text NOT NULL DEFAULT '',
        previous_hash bytea NOT NULL,
        hash bytea NOT NULL
    )
    """,
    """
    CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'audit_log is append-only';
    END
    $$
    """,
    # Serialises writers until their commit and returns the newest hash. A function, because each of its statements
    # sees what was committed while the one before waited for the lock.
    """
    CREATE FUNCTION audit_head() RETURNS bytea LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock(7203312);
        RETURN (SELECT hash FROM audit_log ORDER BY id DESC LIMIT 1);
    END
    $$
    """,
    """
    CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()
    """,
)

EVENTS = (
    """
    CREATE TABLE outbox (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        subject text NOT NULL,
        message_id text NOT NULL,
        payload bytea NOT NULL,
        created_at timestamptz NOT NULL
    )
    """,
    # Kept per caller, so that a feed opened again has the same subscriptions.
    """
    CREATE TABLE feed_subscriptions (
        caller_id text NOT NULL,
        event_type text NOT NULL,
        created_at timestamptz NOT NULL,
        PRIMARY KEY (caller_id, event_type)
    )
    """,
)

PROVIDERS = (
    """
    CREATE TABLE providers (
        id uuid PRIMARY KEY,
        name text NOT NULL UNIQUE,
        kind text NOT NULL CHECK (kind IN ('openai', 'anthropic')),
        base_url text NOT NULL,
        key_ciphertext bytea,
        key_last4 text,
        enabled boolean NOT NULL DEFAULT true,
        is_local boolean NOT NULL DEFAULT false,
        models text[] NOT NULL DEFAULT '{}',
        models_checked_at timestamptz,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL
    )
    """,
    # One row: what is set for the whole installation.
    """
    CREATE TABLE model_defaults (
        singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
        provider_id uuid NOT NULL REFERENCES providers (id) ON DELETE CASCADE,
        model text NOT NULL
    )
    """,
    # The key that encrypts provider keys, itself wrapped by the key-encryption key outside the database.
    """
    CREATE TABLE data_keys (
        id uuid PRIMARY KEY,
        wrapped_key bytea NOT NULL,
        canary bytea NOT NULL,
        created_at timestamptz NOT NULL
    )
    """,
    """
    CREATE TABLE model_calls (
        id uuid PRIMARY KEY,
        user_id uuid,
        task_id uuid,
        epoch bigint,
        provider_id uuid,
        provider text NOT NULL,
        model text NOT NULL,
        prompt_tokens integer NOT NULL DEFAULT 0,
        completion_tokens integer NOT NULL DEFAULT 0,
        first_token_ms double precision,
        duration_ms double precision NOT NULL,
        outcome text NOT NULL,
        created_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX model_calls_task ON model_calls (task_id) WHERE task_id IS NOT NULL",
    "CREATE INDEX model_calls_user ON model_calls (user_id, created_at DESC)",
)

AGENTS = (
    """
    CREATE TABLE agents (
        id uuid PRIMARY KEY,
        name text NOT NULL,
        owner_id uuid NOT NULL REFERENCES users_v2 (id) ON DELETE CASCADE,
        shared boolean NOT NULL DEFAULT true,
        capabilities text[] NOT NULL DEFAULT '{}',
        capability_details jsonb NOT NULL DEFAULT '[]',
        labels jsonb NOT NULL DEFAULT '{}',
        version text NOT NULL DEFAULT '',
        slots integer NOT NULL DEFAULT 1,
        slots_in_use integer NOT NULL DEFAULT 0,
        restorable boolean NOT NULL DEFAULT false,
        status text NOT NULL DEFAULT 'offline',
        reason text NOT NULL DEFAULT '',
        instance_id text NOT NULL DEFAULT '',
        control_plane_id text,
        resources jsonb,
        tasks_completed bigint NOT NULL DEFAULT 0,
        tasks_failed bigint NOT NULL DEFAULT 0,
        busy_seconds double precision NOT NULL DEFAULT 0,
        round_trip_seconds double precision NOT NULL DEFAULT 0,
        connected_at timestamptz,
        last_heartbeat_at timestamptz,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        UNIQUE (owner_id, name)
    )
    """,
    """
    CREATE TABLE agent_enrolments (
        token_hash bytea PRIMARY KEY,
        created_by uuid NOT NULL REFERENCES users_v2 (id) ON DELETE CASCADE,
        name text,
        created_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        used_at timestamptz
    )
    """,
    """
    CREATE TABLE agent_keys (
        id text PRIMARY KEY,
        owner_id uuid NOT NULL REFERENCES users_v2 (id) ON DELETE CASCADE,
        name text NOT NULL,
        secret_hash bytea NOT NULL,
        created_at timestamptz NOT NULL,
        last_used_at timestamptz,
        revoked_at timestamptz
    )
    """,
)

TASKS = (
    """
    CREATE TABLE tasks (
        id uuid PRIMARY KEY,
        queue text NOT NULL,
        capability text NOT NULL DEFAULT '',
        priority smallint NOT NULL CHECK (priority BETWEEN 0 AND 3),
        state text NOT NULL CHECK (state IN ('queued', 'running', 'cancelling', 'succeeded', 'failed', 'cancelled')),
        user_id uuid NOT NULL,
        input jsonb NOT NULL,
        result jsonb,
        error jsonb,
        usage jsonb,
        idempotency_key text,
        request_hash bytea,
        affinity_key text,
        trace_parent text,
        epoch bigint NOT NULL DEFAULT 0,
        attempt integer NOT NULL DEFAULT 0,
        max_attempts integer NOT NULL,
        agent_id uuid,
        run_after timestamptz,
        lease_expires_at timestamptz,
        queue_timeout_seconds double precision NOT NULL,
        queue_deadline timestamptz,
        run_timeout_seconds double precision,
        run_deadline timestamptz,
        progress_timeout_seconds double precision,
        last_progress_at timestamptz,
        cancel_requested_at timestamptz,
        cancel_requested_by text,
        cancel_reason text,
        snapshot_text text NOT NULL DEFAULT '',
        snapshot_epoch bigint NOT NULL DEFAULT 0,
        snapshot_sequence bigint NOT NULL DEFAULT 0,
        -- The feature that submitted it wants to be called at its end; `finish_pending` until it has been.
        wants_finish boolean NOT NULL DEFAULT false,
        finish_pending boolean NOT NULL DEFAULT false,
        created_at timestamptz NOT NULL,
        started_at timestamptz,
        finished_at timestamptz
    ) WITH (fillfactor = 80)
    """,
    "CREATE UNIQUE INDEX tasks_idempotency ON tasks (user_id, idempotency_key) WHERE idempotency_key IS NOT NULL",
    "CREATE INDEX tasks_waiting ON tasks (queue, priority DESC, id) WHERE state = 'queued'",
    "CREATE INDEX tasks_held ON tasks (agent_id) WHERE state IN ('running', 'cancelling')",
    "CREATE INDEX tasks_of_user ON tasks (user_id, id DESC)",
    "CREATE INDEX tasks_queue_deadline ON tasks (queue_deadline) WHERE state = 'queued'",
    "CREATE INDEX tasks_finished ON tasks (finished_at) WHERE finished_at IS NOT NULL",
    "CREATE INDEX tasks_finish_pending ON tasks (id) WHERE finish_pending",
    """
    CREATE TABLE task_attempts (
        task_id uuid NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
        epoch bigint NOT NULL,
        attempt integer NOT NULL,
        agent_id uuid NOT NULL,
        agent_name text NOT NULL,
        started_at timestamptz NOT NULL,
        ended_at timestamptz,
        outcome text,
        error jsonb,
        PRIMARY KEY (task_id, epoch)
    )
    """,
)

CHAT = (
    """
    CREATE TABLE conversations (
        id uuid PRIMARY KEY,
        user_id uuid NOT NULL REFERENCES users_v2 (id) ON DELETE CASCADE,
        title text NOT NULL DEFAULT '',
        model text,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        deleted_at timestamptz
    )
    """,
    "CREATE INDEX conversations_of_user ON conversations (user_id, updated_at DESC, id DESC) WHERE deleted_at IS NULL",
    """
    CREATE TABLE messages (
        id uuid PRIMARY KEY,
        conversation_id uuid NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
        role text NOT NULL CHECK (role IN ('user', 'assistant')),
        content text,
        task_id uuid,
        model text,
        state text NOT NULL CHECK (state IN ('complete', 'streaming', 'failed', 'stopped')),
        error jsonb,
        usage jsonb,
        -- Of an answer: the message that it answers.
        reply_to uuid REFERENCES messages (id) ON DELETE CASCADE,
        idempotency_key text,
        -- The order within the conversation; ids of one millisecond have none.
        place bigint GENERATED ALWAYS AS IDENTITY,
        created_at timestamptz NOT NULL,
        edited_at timestamptz,
        superseded_at timestamptz
    )
    """,
    "CREATE INDEX messages_of_conversation ON messages (conversation_id, place) WHERE superseded_at IS NULL",
    "CREATE INDEX messages_streaming ON messages (created_at) WHERE state = 'streaming'",
    "CREATE UNIQUE INDEX messages_task ON messages (task_id) WHERE task_id IS NOT NULL",
    """
    CREATE UNIQUE INDEX messages_idempotency ON messages (conversation_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL
    """,
)


def upgrade() -> None:
    for statement in (*IDENTITY, *AUDIT, *EVENTS, *PROVIDERS, *AGENTS, *TASKS, *CHAT):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("The first schema has nothing before it; restore a backup instead.")
