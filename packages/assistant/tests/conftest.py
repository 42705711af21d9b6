"""The assistant is tested on the real local model, and on an API that breaks on command."""

from collections.abc import AsyncIterator, Iterator

import pytest
from orchestra.engines.testing import RunningModel, start_model
from orchestra_sdk.testing import ControlPlane


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def plane() -> AsyncIterator[ControlPlane]:
    async with ControlPlane() as plane:
        yield plane


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningModel]:
    with start_model(tmp_path_factory.mktemp("model")) as server:
        yield server
