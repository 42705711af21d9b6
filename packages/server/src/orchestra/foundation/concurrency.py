"""Long-lived tasks with a name, an owner and a guard that reports their unexpected end."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Any, Self

import structlog

log = structlog.get_logger(__name__)

CANCEL_AGAIN_SECONDS = 1.0


class Guard:
    """Owns background tasks: starts them by name, reports one that fails, cancels all at the end.

    A task that ends with an exception is logged and, if `on_failure` is given, handed to it, so
    that a process can stop rather than limp.
    """

    def __init__(self, *, on_failure: Callable[[str, BaseException], None] | None = None) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._on_failure = on_failure

    def spawn(self, name: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Starts `work` under `name`; the guard holds the only reference that is needed."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def __len__(self) -> int:
        return len(self._tasks)

    async def stop(self) -> None:
        """Cancels every task and waits for their ends.

        Again after a while, for a cancellation can be lost: `asyncio.wait_for` of Python 3.11
        swallows one that comes at the moment at which its work is done.
        """
        tasks = set(self._tasks)
        while tasks:
            for task in tasks:
                task.cancel()
            _, tasks = await asyncio.wait(tasks, timeout=CANCEL_AGAIN_SECONDS)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            if task.cancelling():
                return
            # Not the task was cancelled, but what it waited for: it is as dead as one that failed.
            error: BaseException = asyncio.CancelledError("what it waited for was cancelled")
        elif (found := task.exception()) is None:
            return
        else:
            error = found
        log.error("background task failed", task=task.get_name(), exc_info=error)
        if self._on_failure:
            self._on_failure(task.get_name(), error)


def is_stopped() -> bool:
    """Whether a CancelledError that was just caught is meant for this task.

    Otherwise what it waited for was cancelled, by whom ever, and the task has to go on.
    """
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


async def forever(
    name: str, step: Callable[[], Awaitable[float]], *, retry_seconds: float = 1.0
) -> None:
    """Calls `step` for ever; it returns how many seconds to wait.

    A failure is logged and tried again, and so is a cancellation that is not this task's own.
    """
    while True:
        try:
            pause = await step()
        except asyncio.CancelledError:
            if is_stopped():
                raise
            log.exception("periodic work was cut off", work=name)
            pause = retry_seconds
        except Exception:
            log.exception("periodic work failed", work=name)
            pause = retry_seconds
        await asyncio.sleep(pause)
