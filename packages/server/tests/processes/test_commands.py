"""The host commands where nothing runs, or nothing can: each says in one sentence what is wrong."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from orchestra.engines.process import free_port
from orchestra.foundation.settings import Settings
from s3_server import RunningS3

COMMAND = (sys.executable, "-m", "orchestra.processes")
SECONDS = 15

needs_mounts = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None, reason="only root can mount"
)


@pytest.fixture
def taken_port() -> Generator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def orchestra(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: text for name, text in os.environ.items() if "ORCHESTRA" not in name}
    return subprocess.run(
        [*COMMAND, *arguments],
        env={**environment, **variables},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def assert_refused(result: subprocess.CompletedProcess[str], reason: str) -> None:
    """One sentence on standard error, nothing on standard output, and an exit code."""
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("error: "), result.stderr
    assert result.stderr.count("\n") == 1, result.stderr
    assert reason in result.stderr


def test_up_names_a_port_that_is_taken_and_the_option_to_change_it(
    tmp_path: Path, taken_port: int
) -> None:
    result = orchestra("up", "--data-dir", str(tmp_path), "--http-port", str(taken_port))
    assert_refused(result, f"Port {taken_port} for HTTP is in use by another program")
    assert "--http-port" in result.stderr


def test_up_and_the_doctor_warn_of_leases_shorter_than_two_heartbeats(
    tmp_path: Path, taken_port: int
) -> None:
    short = {"ORCHESTRA_LEASE_SECONDS": "1", "ORCHESTRA_HEARTBEAT_SECONDS": "2"}
    result = orchestra("up", "--data-dir", str(tmp_path), "--http-port", str(taken_port), **short)
    assert result.stderr.startswith("warning: lease_seconds (1) is less than two heartbeats")
    checked = orchestra("doctor", "--json", "--data-dir", str(tmp_path), **short)
    [finding] = [item for item in json.loads(checked.stdout) if item["name"] == "settings"]
    assert finding["good"] is False


def test_up_in_the_background_says_the_same(tmp_path: Path, taken_port: int) -> None:
    result = orchestra(
        "up", "--detach", "--data-dir", str(tmp_path), "--http-port", str(taken_port)
    )
    assert_refused(result, f"Port {taken_port} for HTTP is in use by another program")


def test_up_refuses_the_database_of_an_older_version(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("16\n")
    assert_refused(_up(tmp_path), "was written by PostgreSQL 16")


def test_up_refuses_a_data_directory_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert_refused(_up(tmp_path / "file"), "Not a directory")


@needs_mounts
def test_up_refuses_a_read_only_directory(tmp_path: Path) -> None:
    assert_refused(_up_on_mount(tmp_path, "ro"), "Read-only file system")


@needs_mounts
def test_up_refuses_a_full_disk(tmp_path: Path) -> None:
    assert_refused(_up_on_mount(tmp_path, "size=1m"), "is full")


def test_up_refuses_a_setting_that_makes_no_sense(tmp_path: Path) -> None:
    result = orchestra("up", "--data-dir", str(tmp_path), ORCHESTRA_HTTP_PORT="seventy")
    assert_refused(result, "http_port (environment) is 'seventy'")


def test_status_of_nothing_says_so(tmp_path: Path) -> None:
    result = orchestra("status", "--json", "--data-dir", str(tmp_path))
    assert result.returncode == 5
    assert json.loads(result.stdout)["state"] == "stopped"


def test_down_of_nothing_says_so(tmp_path: Path) -> None:
    result = orchestra("down", "--data-dir", str(tmp_path))
    assert (result.returncode, result.stdout) == (5, "")
    assert "does not run" in result.stderr


def test_settings_show_origins_and_no_secret(tmp_path: Path) -> None:
    result = orchestra(
        "settings",
        "--json",
        "--data-dir",
        str(tmp_path),
        ORCHESTRA_NATS_URL="nats://user:hidden@host",
        ORCHESTRA_LOG_LEVEL="debug",
    )
    lines = {line["name"]: line for line in json.loads(result.stdout)}
    assert (lines["log_level"]["value"], lines["log_level"]["origin"]) == ("debug", "environment")
    assert lines["data_dir"]["origin"] == "argument"
    assert "hidden" not in result.stdout


def test_doctor_finds_nothing_wrong_here(tmp_path: Path) -> None:
    ports = ("--http-port", str(free_port()), "--https-port", str(free_port()))
    result = orchestra("doctor", "--json", "--data-dir", str(tmp_path), *ports)
    assert result.returncode == 0, result.stdout
    assert {"Python", "PostgreSQL", "NATS", "Envoy", "model", "disk", "clock"} <= {
        finding["name"] for finding in json.loads(result.stdout)
    }


@pytest.mark.timeout(90)  # the first to ask for the storage waits for it
def test_doctor_tries_the_storage_of_blobs_and_settings_hide_its_key(
    tmp_path: Path, s3: RunningS3
) -> None:
    chosen = s3.use(Settings())
    names = [name for name in chosen.origins if name != "data_dir"]
    variables = {f"ORCHESTRA_{name.upper()}": str(getattr(chosen, name)) for name in names}
    for bucket, good, said in (
        (chosen.s3_bucket, True, "can be written, read and deleted from"),
        ("nobodys", False, "The bucket nobodys does not exist"),
    ):
        asked = {**variables, "ORCHESTRA_S3_BUCKET": bucket}
        checked = orchestra("doctor", "--json", "--data-dir", str(tmp_path), **asked)
        [finding] = [item for item in json.loads(checked.stdout) if item["name"] == "blobs"]
        assert (finding["good"], said in finding["sentence"]) == (good, True), finding
    shown = orchestra("settings", "--json", "--data-dir", str(tmp_path), **variables)
    assert chosen.s3_bucket in shown.stdout
    assert chosen.s3_secret_key not in shown.stdout
    assert chosen.s3_access_key not in shown.stdout


def test_doctor_says_how_to_mend_what_is_wrong(tmp_path: Path, taken_port: int) -> None:
    result = orchestra("doctor", "--data-dir", str(tmp_path), "--http-port", str(taken_port))
    assert result.returncode == 1
    assert f"BAD  port {taken_port}" in result.stdout
    assert "choose another port with --http-port" in result.stdout


def test_migrate_without_a_database_says_what_to_do(tmp_path: Path) -> None:
    result = orchestra("migrate", "--data-dir", str(tmp_path))
    assert_refused(result, "set ORCHESTRA_DATABASE_URL")


def test_migrate_finds_a_migrated_database_at_the_newest_schema(
    tmp_path: Path, database_url: str
) -> None:
    result = orchestra("migrate", "--data-dir", str(tmp_path), ORCHESTRA_DATABASE_URL=database_url)
    assert result.returncode == 0
    assert "already was at" in result.stderr


def test_migrate_names_a_database_that_is_away(tmp_path: Path) -> None:
    away = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    result = orchestra("migrate", "--data-dir", str(tmp_path), ORCHESTRA_DATABASE_URL=away)
    assert_refused(result, "The database does not answer")


def _up(directory: Path) -> subprocess.CompletedProcess[str]:
    ports = ("--http-port", str(free_port()), "--https-port", str(free_port()))
    return orchestra("up", "--data-dir", str(directory), *ports)


def _up_on_mount(directory: Path, options: str) -> subprocess.CompletedProcess[str]:
    """In a mount namespace of its own, where the directory is another file system."""
    ports = f"--http-port {free_port()} --https-port {free_port()}"
    script = (
        f"mount -t tmpfs -o {options} tmpfs {directory} && "
        f"exec {' '.join(COMMAND)} up --data-dir {directory} {ports}"
    )
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", script],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
