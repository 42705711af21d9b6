"""What a killed supervisor left is ended, and nothing else that happens to have its number."""

import subprocess
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest
from orchestra.foundation.settings import Settings
from orchestra.processes import leftovers, record
from orchestra.processes.leftovers import AlreadyRunning
from orchestra.processes.record import ProcessRecord, Record


@pytest.fixture
def orphan() -> Generator[ProcessRecord]:
    """A program as a supervisor would have recorded it."""
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        known = record.identify(process.pid)
        yield ProcessRecord(name="nats", state="ready", pid=known.pid, started=known.started)
        process.kill()


def test_a_recorded_program_is_ended(orphan: ProcessRecord) -> None:
    leftovers.end(Record(processes=(orphan,)))
    assert not orphan.process.is_alive


def test_another_program_with_the_same_number_is_left_alone(orphan: ProcessRecord) -> None:
    leftovers.end(Record(processes=(replace(orphan, started=orphan.started - 1),)))
    assert orphan.process.is_alive


def test_only_one_supervisor_gets_a_data_directory(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    with (
        leftovers.exclusive(settings),
        pytest.raises(AlreadyRunning, match="already runs on"),
        leftovers.exclusive(settings),
    ):
        pass
    with leftovers.exclusive(settings):
        pass


def test_what_was_recorded_is_read_again(tmp_path: Path, orphan: ProcessRecord) -> None:
    settings = Settings(data_dir=tmp_path)
    written = Record(state="ready", ports={"nats": 4222}, processes=(orphan,))
    record.write(settings, written)
    assert record.read(settings) == written


@pytest.mark.parametrize("content", ["", "{", "[]", '{"processes": [{"unknown": 1}]}'])
def test_a_record_that_cannot_be_read_is_an_empty_one(tmp_path: Path, content: str) -> None:
    (tmp_path / "runtime.json").write_text(content)
    assert record.read(Settings(data_dir=tmp_path)) == Record()
