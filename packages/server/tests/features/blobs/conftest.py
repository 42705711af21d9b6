"""What tests of blobs are given besides: real S3 storage."""

from collections.abc import Iterator

import pytest
from s3_server import RunningS3, start_s3


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningS3]:
    with start_s3(tmp_path_factory.mktemp("storage")) as server:
        yield server
