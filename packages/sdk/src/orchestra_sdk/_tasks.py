"""The only place of the SDK that starts an asyncio task: named, and kept alive by its owner."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


def spawn(coroutine: Coroutine[Any, Any, _T], *, name: str) -> asyncio.Task[_T]:
    """Start `coroutine`; the caller holds the task and looks at how it ends."""
    return asyncio.create_task(coroutine, name=name)
