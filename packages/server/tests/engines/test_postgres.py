"""The local PostgreSQL survives a kill, never runs as root, and refuses what it cannot use."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from orchestra.engines import postgres as engine
from orchestra.engines.errors import EngineError, OldDatabase
from orchestra.engines.testing import RunningPostgres, start_postgres

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")


def test_a_database_of_a_test_has_the_newest_schema(
    postgres: RunningPostgres, database_url: str
) -> None:
    name = database_url.partition("@/")[2].partition("?")[0]
    assert postgres.server.query("SELECT version_num FROM alembic_version", database=name)


def test_what_was_committed_survives_a_kill(tmp_path: Path) -> None:
    with start_postgres(tmp_path, durable=True) as server:
        server.server.query("CREATE TABLE kept AS SELECT 42 AS answer")
        server.process.kill()
        server.process.start()
        assert server.server.query("SELECT answer FROM kept") == "42"


def test_a_second_start_finds_the_same_data(tmp_path: Path) -> None:
    with start_postgres(tmp_path) as server:
        server.server.query("CREATE TABLE kept AS SELECT 42 AS answer")
    with start_postgres(tmp_path) as server:
        assert server.server.query("SELECT answer FROM kept") == "42"


def test_it_listens_on_no_network_address(postgres: RunningPostgres) -> None:
    process = psutil.Process(postgres.process.pid)
    assert process.net_connections("inet") == []


def test_only_its_owner_reaches_the_socket(postgres: RunningPostgres) -> None:
    socket = postgres.server.socket_directory / engine.SOCKET_NAME
    assert socket.stat().st_mode & 0o077 == 0
    assert socket.parent.stat().st_mode & 0o077 == 0


@as_root
def test_root_becomes_somebody_else_where_that_user_may_pass() -> None:
    with tempfile.TemporaryDirectory() as shared, start_postgres(_open(Path(shared))) as server:
        assert server.server.identity.mode == "become"
        assert psutil.Process(server.process.pid).uids().real != 0


@as_root
def test_root_only_appears_to_be_somebody_else_under_a_private_directory(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with start_postgres(tmp_path) as server:
        assert server.server.identity.mode == "appear"
        assert server.server.query("SELECT current_user") == engine.ROLE


def test_a_directory_of_an_older_version_is_refused_in_a_sentence(tmp_path: Path) -> None:
    directory = tmp_path / "postgres"
    directory.mkdir()
    (directory / "PG_VERSION").write_text("16\n")
    with pytest.raises(OldDatabase, match=r"PostgreSQL 16, but this version brings PostgreSQL 18"):
        engine.prepare(directory, socket_directory=tmp_path / "s")


def test_a_crash_while_the_directory_is_made_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "postgres.new").mkdir()
    (tmp_path / "postgres.new" / "PG_VERSION").write_text("half")
    with start_postgres(tmp_path) as server:
        assert server.server.query("SELECT 1") == "1"


def test_a_zombie_with_the_number_of_the_killed_server_is_not_in_the_way(tmp_path: Path) -> None:
    with start_postgres(tmp_path, durable=True) as server:
        server.server.query("CREATE TABLE kept AS SELECT 42 AS answer")
        lock = tmp_path / "postgres" / "postmaster.pid"
        left = lock.read_text().splitlines()[1:]
        server.process.kill()
    with _zombie() as pid:
        lock.write_text("\n".join([str(pid), *left]) + "\n")
        with start_postgres(tmp_path) as server:
            assert server.server.query("SELECT answer FROM kept") == "42"


def test_a_server_that_still_runs_is_waited_for_and_then_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "PREDECESSOR_SECONDS", 0.2)
    with start_postgres(tmp_path) as server:
        pid = server.process.pid
        with pytest.raises(EngineError, match=f"stop its process {pid} first"):
            engine.prepare(tmp_path / "postgres", socket_directory=tmp_path / "s")


def test_a_socket_path_that_is_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="too long for a unix socket"):
        engine.prepare(tmp_path / "postgres", socket_directory=tmp_path / ("long" * 30))


@contextmanager
def _zombie() -> Generator[int]:
    """A process that has ended and that its parent does not bury."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    yield process.pid
    process.wait()


def _open(directory: Path) -> Path:
    """Lets every user pass; pytest's own directories are private."""
    directory.chmod(0o755)
    return directory
