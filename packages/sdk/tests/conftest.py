"""What every test of the SDK may ask for: a control plane in memory that speaks real gRPC."""

from collections.abc import AsyncIterator

import pytest
from orchestra_sdk.testing import ControlPlane


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def plane() -> AsyncIterator[ControlPlane]:
    async with ControlPlane() as plane:
        yield plane
