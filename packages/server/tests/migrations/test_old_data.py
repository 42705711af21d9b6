"""Data that was written under every earlier schema is whole under today's."""

import asyncio
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import asyncpg
import pytest
from orchestra import migrations
from orchestra.engines.testing import RunningPostgres
from orchestra.foundation import ids
from orchestra.migrations import runner

PERSON = "00000000-0000-7000-8000-000000000001"
AGENT = "00000000-0000-7000-8000-000000000002"
PROVIDER = "00000000-0000-7000-8000-000000000003"
CONVERSATION = "00000000-0000-7000-8000-000000000004"
COUNT = "SELECT count(*) FROM {table}"
STATES = ("queued", "running", "cancelling", "succeeded", "failed", "cancelled")

_TASK = """
    INSERT INTO tasks (id, queue, capability, priority, state, user_id, input, result, error,
        idempotency_key, epoch, attempt, max_attempts, queue_timeout_seconds, created_at,
        finished_at, agent_id, lease_expires_at)
    SELECT gen_random_uuid(), 'echo', 'echo', 1, '{state}', '{person}', '{{"n": 1}}',
        CASE WHEN '{state}' = 'succeeded' THEN '{{"ok": true}}'::jsonb END,
        CASE WHEN '{state}' = 'failed' THEN '{{"code": "c", "message": "7 x"}}'::jsonb END,
        '{revision}-{state}', 2, 1, 3, 60, now(),
        CASE WHEN '{state}' IN ('succeeded', 'failed', 'cancelled') THEN now() END,
        CASE WHEN '{state}' IN ('running', 'cancelling') THEN '{agent}'::uuid END,
        CASE WHEN '{state}' IN ('running', 'cancelling') THEN now() END
"""
_ATTEMPTS = """
    INSERT INTO task_attempts (task_id, epoch, attempt, agent_id, agent_name, started_at)
    SELECT id, epoch, attempt, '{agent}', 'old', now() FROM tasks ON CONFLICT DO NOTHING
"""
# What is new in each schema; every later one gets tasks in every state besides.
WRITTEN: Mapping[str, tuple[str, ...]] = {
    "0001": (
        """
        INSERT INTO users_v2 (id, username, role, created_at, updated_at)
        VALUES ('{person}', 'old', 'admin', now(), now())
        """,
        """
        INSERT INTO outbox (subject, message_id, payload, created_at)
        VALUES ('s', 'm', '', now())
        """,
        """
        INSERT INTO providers (id, name, kind, base_url, created_at, updated_at)
        VALUES ('{provider}', 'p', 'openai', 'https://example.org/v1', now(), now())
        """,
        """
        INSERT INTO agents (id, name, owner_id, created_at, updated_at)
        VALUES ('{agent}', 'old', '{person}', now(), now())
        """,
        """
        INSERT INTO conversations (id, user_id, created_at, updated_at)
        VALUES ('{conversation}', '{person}', now(), now())
        """,
        """
        INSERT INTO messages (id, conversation_id, role, content, state, created_at)
        VALUES (gen_random_uuid(), '{conversation}', 'user', 'hello', 'complete', now())
        """,
    ),
    "0002": (
        "INSERT INTO queues (name, max_queued, updated_at) VALUES ('echo', 100, now())",
        """
        INSERT INTO limits (id, scope, queue, max_running, created_at)
        VALUES (gen_random_uuid(), 'queue', 'echo', 3, now())
        """,
        "INSERT INTO fair_clocks VALUES ('echo', 1, 7, now())",
        "INSERT INTO user_weights (user_id, weight) VALUES ('{person}', 2)",
    ),
    "0003": (
        "UPDATE tasks SET state = 'waiting', wait_names = ARRAY['s'] WHERE state = 'queued'",
        """
        INSERT INTO task_steps (task_id, name, kind, epoch, created_at)
        SELECT id, 's', 'question', epoch, now() FROM tasks
        """,
        """
        INSERT INTO approvals (id, task_id, user_id, name, kind, question, data, data_hash, state,
            created_at, expires_at)
        SELECT gen_random_uuid(), id, user_id, 's', 'approve', '?', '1', 'h', 'open', now(), now()
        FROM tasks
        """,
        "INSERT INTO workflows VALUES ('{person}', 'w', 1, '{{}}', now())",
    ),
    "0004": (
        """
        INSERT INTO schedules (id, user_id, name, cron, template, overlap, catch_up, created_at,
            updated_at)
        VALUES (gen_random_uuid(), '{person}', 's', '* * * * *', '{{}}', 'skip', 'one', now(),
            now())
        """,
    ),
    "0005": ("INSERT INTO control_planes VALUES ('old', now())",),
}
REVISIONS = sorted(path.name[:4] for path in migrations.VERSIONS.glob("0*_*.py"))


@pytest.fixture
def empty_url(postgres: RunningPostgres) -> Iterator[str]:
    name = f"old_{ids.short_id()}"
    yield postgres.create_database(name)
    postgres.drop_database(name)


@pytest.mark.parametrize("revision", REVISIONS[:-1])
def test_data_of_an_earlier_schema_is_all_there_under_todays(empty_url: str, revision: str) -> None:
    for step in REVISIONS[: REVISIONS.index(revision) + 1]:
        runner.upgrade(empty_url, target=step)
        asyncio.run(_write(empty_url, step))
    before = asyncio.run(_everything(empty_url))
    assert before["tasks"] >= len(STATES)
    assert asyncio.run(migrations.migrate(empty_url))
    after = asyncio.run(_everything(empty_url))
    assert {table: after.get(table) for table in before} == before
    assert asyncio.run(migrations.current_revision(empty_url)) == migrations.newest_revision()


def test_processes_that_start_at_once_migrate_one_after_the_other(empty_url: str) -> None:
    runner.upgrade(empty_url, target="0001")
    asyncio.run(_write(empty_url, "0001"))
    with ThreadPoolExecutor(3) as pool:
        done = [pool.submit(runner.upgrade, empty_url) for _ in range(3)]
    assert [each.result() for each in done] == [None] * 3
    assert asyncio.run(migrations.current_revision(empty_url)) == migrations.newest_revision()


def test_agents_that_had_a_key_and_never_came_are_expected(empty_url: str) -> None:
    runner.upgrade(empty_url, target="0014")
    asyncio.run(_write(empty_url, "0001"))
    expected = asyncio.run(_expected(empty_url))
    assert [(name, status) for name, status, _ in expected] == [("ghost", "offline")]
    assert expected[0][2] == "enrolled by old at 2026-01-02 03:04:05 UTC, has not connected yet"


async def _expected(url: str) -> list[tuple[str, str, str]]:
    """Of three keys, of which one is revoked and one is an agent's, what the migration makes."""
    connection = await asyncpg.connect(url, timeout=10)
    try:
        await connection.execute(
            "INSERT INTO agent_keys (id, owner_id, name, secret_hash, created_at, revoked_at)"
            " SELECT name, $1::uuid, name, '', '2026-01-02 03:04:05Z', revoked_at::timestamptz"
            " FROM (VALUES ('ghost', NULL), ('old', NULL), ('gone', '2026-01-03'))"
            " AS given (name, revoked_at)",
            PERSON,
        )
        await migrations.migrate(url)
        rows = await connection.fetch("SELECT name, status, reason FROM agents WHERE name <> 'old'")
    finally:
        await connection.close(timeout=5)
    return [tuple(row) for row in rows]


async def _write(url: str, revision: str) -> None:
    names = {
        "person": PERSON,
        "agent": AGENT,
        "provider": PROVIDER,
        "conversation": CONVERSATION,
        "revision": revision,
    }
    tasks = (_TASK.format(state=state, **names) for state in STATES)
    connection = await asyncpg.connect(url, timeout=10)
    try:
        for statement in (*(sql.format(**names) for sql in WRITTEN.get(revision, ())), *tasks):
            await connection.execute(statement)
        await connection.execute(_ATTEMPTS.format(**names))
    finally:
        await connection.close(timeout=5)


async def _everything(url: str) -> dict[str, int]:
    """Rows of each table; tasks also by state, with an end each that has to have one."""
    connection = await asyncpg.connect(url, timeout=10)
    try:
        tables = await connection.fetch(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            " AND tablename <> 'alembic_version'"
        )
        counts = {
            row["tablename"]: await connection.fetchval(COUNT.format(table=row["tablename"]))
            for row in tables
        }
        by_state = await connection.fetch(
            "SELECT state, count(finished_at) AS ended, count(*) AS number FROM tasks GROUP BY 1"
        )
    finally:
        await connection.close(timeout=5)
    states = {f"{row['state']} of {row['ended']}": row["number"] for row in by_state}
    return counts | states
