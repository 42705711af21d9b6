"""Settings: which layer wins, and what a bad value says."""

from pathlib import Path

import pytest
from orchestra.foundation import settings
from orchestra.foundation.settings import BadSetting, Settings


def test_an_argument_beats_the_environment_which_beats_the_file(tmp_path: Path) -> None:
    (tmp_path / "orchestra.toml").write_text(
        'http_port = 1000\nhttps_port = 1001\nlog_level = "debug"\n'
    )
    environment = {"ORCHESTRA_HTTP_PORT": "2000", "ORCHESTRA_HTTPS_PORT": "2001"}
    loaded = settings.load({"data_dir": tmp_path, "http_port": 3000}, environment)
    assert (loaded.http_port, loaded.https_port, loaded.log_level) == (3000, 2001, "debug")
    assert loaded.origins["http_port"] == "argument"
    assert loaded.origins["https_port"] == "environment"
    assert loaded.origins["log_level"] == "file"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("ORCHESTRA_HTTP_PORT", "seventy", "should be of type int"),
        ("ORCHESTRA_HTTP_PORT", "70000", "between 1 and 65535"),
        ("ORCHESTRA_LOCAL_MODEL", "perhaps", "should be of type bool"),
        ("ORCHESTRA_LEASE_SECONDS", "nan?", "should be of type float"),
        ("ORCHESTRA_LEASE_SECONDS", "nan", "between 1 and 3600"),
    ],
)
def test_a_bad_value_names_the_setting_its_origin_and_what_it_should_be(
    tmp_path: Path, name: str, value: str, words: str
) -> None:
    with pytest.raises(BadSetting, match=words) as caught:
        settings.load({"data_dir": tmp_path}, {name: value})
    assert "environment" in caught.value.message
    assert name.removeprefix("ORCHESTRA_").lower() in caught.value.message


def test_an_unknown_name_in_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "orchestra.toml").write_text("http_prot = 1000\n")
    with pytest.raises(BadSetting, match="http_prot"):
        settings.load({"data_dir": tmp_path}, {})


def test_secrets_are_never_described(tmp_path: Path) -> None:
    loaded = settings.load(
        {"data_dir": tmp_path}, {"ORCHESTRA_DATABASE_URL": "postgresql://u:hunter2@h/d"}
    )
    lines = {line.name: line for line in settings.describe(loaded)}
    assert "hunter2" not in repr(lines)
    assert lines["database_url"].value == "•••• (set)"
    assert lines["nats_url"].value == "(not set)"


def test_a_list_is_read_from_commas(tmp_path: Path) -> None:
    loaded = settings.load(
        {"data_dir": tmp_path}, {"ORCHESTRA_ALLOWED_HOSTS": "a.example, b.example"}
    )
    assert loaded.allowed_hosts == ("a.example", "b.example")


def test_two_instances_have_two_runtime_directories(tmp_path: Path) -> None:
    one = settings.load({"data_dir": tmp_path / "one"}, {})
    two = settings.load({"data_dir": tmp_path / "two"}, {})
    assert one.runtime_dir != two.runtime_dir
    assert len(str(one.runtime_dir)) < 60


def test_a_lease_that_one_late_heartbeat_ends_is_warned_of() -> None:
    [warning] = Settings(lease_seconds=3, heartbeat_seconds=2).warnings
    assert "lease_seconds (3)" in warning
    assert Settings(lease_seconds=4, heartbeat_seconds=2).warnings == ()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"blob_store": "floppy"}, "should be postgresql or s3"),
        ({"blob_store": "s3"}, "s3_bucket has to name a bucket"),
        ({"s3_access_key": "a"}, "belong together"),
        ({"s3_endpoint": "s3.example.org"}, "begin with https://"),
    ],
)
def test_storage_of_blobs_is_set_as_a_whole(
    tmp_path: Path, values: dict[str, str], said: str
) -> None:
    with pytest.raises(BadSetting, match=said):
        settings.load({"data_dir": tmp_path, **values}, {})
