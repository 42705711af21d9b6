"""The engines on this machine: they start, are ready when they say so, and stop."""

from orchestra.engines.testing import RunningNats, RunningPostgres


def test_a_database_of_a_test_has_the_newest_schema(
    postgres: RunningPostgres, database_url: str
) -> None:
    name = database_url.partition("@/")[2].partition("?")[0]
    assert postgres.server.query("SELECT version_num FROM alembic_version", database=name)


def test_nats_is_ready_when_it_says_so(nats: RunningNats) -> None:
    assert nats.server.is_ready()
