"""Daemon threads for plain-function handlers.

Not `ThreadPoolExecutor`: the interpreter joins its threads at exit, so one handler that never
returns would keep a stopped agent alive for ever.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

_T = TypeVar("_T")


class DaemonPool:
    """At most `size` threads, started when they are first needed."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._threads = 0
        self._outstanding = 0
        self._lock = threading.Lock()
        self._work: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()

    async def run(self, call: Callable[[], _T]) -> _T:
        """Return `call()`, made in a thread. The caller must not be cancelled meanwhile."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_T] = loop.create_future()

        def work() -> None:
            try:
                outcome, failure = call(), None
            except BaseException as error:  # noqa: BLE001 - carried over to the caller as it is
                outcome, failure = None, error
            with self._lock:
                self._outstanding -= 1
            if not loop.is_closed():
                loop.call_soon_threadsafe(_settle, future, outcome, failure)

        self._grow()
        self._work.put(work)
        return await future

    def _grow(self) -> None:
        """Count one more call, and start a thread for it if every other has one to make."""
        with self._lock:
            self._outstanding += 1
            if self._threads >= min(self._outstanding, self._size):
                return
            self._threads += 1
            name = f"orchestra-handler-{self._threads}"
        threading.Thread(target=self._serve, name=name, daemon=True).start()

    def _serve(self) -> None:
        while True:
            self._work.get()()


def _settle(future: asyncio.Future[Any], outcome: Any, failure: BaseException | None) -> None:
    if future.cancelled():
        return
    if failure is None:
        future.set_result(outcome)
    else:
        future.set_exception(failure)
