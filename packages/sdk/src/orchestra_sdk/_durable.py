"""The words of a handler that make a task last: steps, child tasks, questions and timers.

`Durable` is for async handlers, `PlainDurable` for plain functions: the same, without `await`.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Unpack

from orchestra_sdk._bridge import drive
from orchestra_sdk._children import Child, ChildOptions
from orchestra_sdk._steps import Approval, Steps


class _Calls:
    """What needs no waiting."""

    if TYPE_CHECKING:

        @cached_property
        def _steps(self) -> Steps: ...

    def call(
        self,
        capability: str,
        input: Any = None,
        *,
        name: str | None = None,
        **options: Unpack[ChildOptions],
    ) -> Child:
        """Return a child task that `gather` submits together with others.

        Without a `name` it is named by capability and order, `review#2`: then the handler must make
        its calls in the same order every time it runs.
        """
        return self._steps.call(capability, input, name=name, options=options)


class Durable(_Calls):
    """For async handlers."""

    async def step(self, name: str, function: Callable[[], Any]) -> Any:
        """Return what `function` returns, as JSON; it is not called again once that is kept.

        It is called again when the run broke off before: give `f"{ctx.idempotency_key}:{name}"` to
        whatever has the effect. An exception is not kept, it fails the attempt like any other.
        """
        return await self._steps.effect(name, function)

    async def run(
        self,
        capability: str,
        input: Any = None,
        *,
        name: str | None = None,
        **options: Unpack[ChildOptions],
    ) -> Any:
        """Return the result of a child task, without a slot meanwhile; raises `ChildFailed`."""
        child = self._steps.call(capability, input, name=name, options=options)
        return (await self._steps.results([child]))[0]

    async def spawn(
        self,
        capability: str,
        input: Any = None,
        *,
        name: str | None = None,
        **options: Unpack[ChildOptions],
    ) -> Child:
        """Submit a child task and go on; `gather` waits for it, `detached` lets it outlive us."""
        child = self._steps.call(capability, input, name=name, options=options)
        await self._steps.spawn([child])
        return child

    async def gather(self, *children: Child, return_exceptions: bool = False) -> list[Any]:
        """Return the results of child tasks when all have ended, without a slot meanwhile.

        The first failure among them is raised as `ChildFailed`, or with `return_exceptions` each
        takes the place of its result.
        """
        return await self._steps.results(children, return_exceptions=return_exceptions)

    async def approve(
        self,
        question: str,
        data: Any = None,
        ttl: float | timedelta | None = None,
        *,
        name: str | None = None,
    ) -> Approval:
        """Ask people for a yes or no to exactly `data`, without a slot meanwhile.

        A handler that runs again must ask the same again: what can change comes out of a `step`.
        After `ttl` (seconds above 0, or a timedelta) nobody can answer any more: `ApprovalExpired`.
        Without one the question waits for as long as the server lets it, mostly 30 days.
        """
        return await self._steps.ask(question, data, approve=True, ttl=ttl, name=name)

    async def ask(
        self,
        question: str,
        data: Any = None,
        ttl: float | timedelta | None = None,
        *,
        choices: Sequence[str] = (),
        name: str | None = None,
    ) -> Approval:
        """Ask people for an `answer`, one of `choices` or a text, without a slot meanwhile.

        `approved` is false when somebody refused; raises `ApprovalExpired` like `approve`.
        """
        return await self._steps.ask(
            question, data, approve=False, ttl=ttl, choices=choices, name=name
        )

    async def sleep(self, seconds: float | timedelta, *, name: str | None = None) -> None:
        """Wait without a slot: for a minute, or for a month."""
        await self._steps.sleep(seconds, name=name)


class PlainDurable(_Calls):
    """For plain functions; an async function given to `step` gets an event loop of its own."""

    def step(self, name: str, function: Callable[[], Any]) -> Any:
        """Like `Context.step`."""
        return drive(self._steps.effect(name, function))

    def run(
        self,
        capability: str,
        input: Any = None,
        *,
        name: str | None = None,
        **options: Unpack[ChildOptions],
    ) -> Any:
        """Like `Context.run`."""
        child = self._steps.call(capability, input, name=name, options=options)
        return drive(self._steps.results([child]))[0]

    def spawn(
        self,
        capability: str,
        input: Any = None,
        *,
        name: str | None = None,
        **options: Unpack[ChildOptions],
    ) -> Child:
        """Like `Context.spawn`."""
        child = self._steps.call(capability, input, name=name, options=options)
        drive(self._steps.spawn([child]))
        return child

    def gather(self, *children: Child, return_exceptions: bool = False) -> list[Any]:
        """Like `Context.gather`."""
        return drive(self._steps.results(children, return_exceptions=return_exceptions))

    def approve(
        self,
        question: str,
        data: Any = None,
        ttl: float | timedelta | None = None,
        *,
        name: str | None = None,
    ) -> Approval:
        """Like `Context.approve`."""
        return drive(self._steps.ask(question, data, approve=True, ttl=ttl, name=name))

    def ask(
        self,
        question: str,
        data: Any = None,
        ttl: float | timedelta | None = None,
        *,
        choices: Sequence[str] = (),
        name: str | None = None,
    ) -> Approval:
        """Like `Context.ask`."""
        return drive(
            self._steps.ask(question, data, approve=False, ttl=ttl, choices=choices, name=name)
        )

    def sleep(self, seconds: float | timedelta, *, name: str | None = None) -> None:
        """Like `Context.sleep`."""
        drive(self._steps.sleep(seconds, name=name))
