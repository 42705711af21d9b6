"""What a task does once and for all: effects, child tasks, questions and timers, each with a name.

The handler runs again from its beginning with every lease. What has an outcome is returned at once,
everything else is asked of the server, which recognises it by its name.
"""

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from orchestra_protocol import agent_pb2 as pb

from orchestra_sdk import _children, _clock, _fingerprints, _values
from orchestra_sdk._bridge import Bridge
from orchestra_sdk._children import Child, ChildOptions
from orchestra_sdk._errors import ApprovalExpired, ChildFailed, TaskError
from orchestra_sdk._run import Run

_LONGEST_NAME = 200
_LONGEST_QUESTION = 4000
_ENVELOPE_BYTES = 4 * 1024  # what a message needs besides the value
# A spawn into a full queue waits like a timer: 1 s, 2 s, 4 s … 60 s, in all about half an hour.
_ROOM = "wait for room"
_ROOM_WAITS = 40
_FIRST_ROOM_SECONDS = 1.0
_LONGEST_ROOM_SECONDS = 60.0
_in_a_step = ContextVar("orchestra_in_a_step", default=False)
_WORDS = {
    pb.STEP_KIND_EFFECT: "a step",
    pb.STEP_KIND_CHILD: "a child task",
    pb.STEP_KIND_QUESTION: "a question",
    pb.STEP_KIND_TIMER: "a timer",
}
_DIFFERS = {
    pb.STEP_KIND_CHILD: "its capability, agent or input",
    pb.STEP_KIND_QUESTION: "what it asks, its data or its choices",
}


@dataclass(frozen=True)
class Approval:
    """What somebody answered: `by` is the user name, `answer` is what `ask` asked for."""

    approved: bool
    answer: Any = None
    by: str = ""
    comment: str = ""


class Steps:
    """The steps of one run."""

    def __init__(self, run: Run, bridge: Bridge, max_message_bytes: Callable[[], int]) -> None:
        self._kept = {step.name: step for step in run.assignment.steps}
        self._bridge = bridge
        self._most_bytes = lambda: max_message_bytes() - _ENVELOPE_BYTES
        self._used: set[str] = set()
        self._numbers: Counter[str] = Counter()

    async def effect(self, name: str, function: Callable[[], Any]) -> Any:
        """Return what `function` has returned, in this lease or an earlier one."""
        self._use(name, pb.STEP_KIND_EFFECT)
        if name not in self._kept:
            async with self._bridge.working():
                output = self._value(name, await self._inside(function))
                save = pb.SaveStep(name=name, output=output)
                await self._bridge.ask(pb.Command(save_step=save))
            self._kept[name] = pb.Step(name=name, output=output)
        return _values.from_value(self._kept[name].output)

    def call(
        self, capability: str, input: Any, *, name: str | None, options: ChildOptions
    ) -> Child:
        """Name a child task."""
        name = name or self._numbered(capability)
        self._use(name, pb.STEP_KIND_CHILD)
        child = Child(_children.describe(name, capability, input, options))
        if name in self._kept:
            self._same(name, _fingerprints.of_child(child.wire))
            child.task_id = self._kept[name].task_id
        return child

    async def spawn(self, children: Sequence[Child]) -> None:
        """Submit the children that were not submitted yet."""
        fresh = {c.name: c for c in children if not c.task_id and c.name not in self._kept}
        wires = [child.wire for child in fresh.values()]
        for batch in _children.batches(wires, self._most_bytes()):
            for wire, task_id in zip(batch, await self._submit(batch), strict=True):
                fresh[wire.name].task_id = task_id

    async def _submit(self, batch: Sequence[pb.Child]) -> Sequence[str]:
        """Return the ids of the children, once their queues have room for them."""
        while True:
            try:
                async with self._bridge.working():
                    reply = await self._bridge.ask(pb.Command(spawn=pb.Spawn(children=batch)))
            except TaskError as error:
                if error.code != "queue_full" or _in_a_step.get():
                    raise
                await self._wait_for_room(batch[0].name, error)
            else:
                return reply.spawned.task_ids

    async def _wait_for_room(self, child: str, refusal: TaskError) -> None:
        """Wait without a slot; earlier waits of this kind, also in earlier runs, make it longer."""
        waits = 0
        while (name := self._numbered(_ROOM)) in self._kept:
            waits += 1
        if waits >= _ROOM_WAITS:
            message = f"there was no room for the child {child!r} in {waits} tries"
            raise TaskError(
                f"{message}: {refusal.message}", code=refusal.code, retryable=refusal.retryable
            )
        pause = min(_LONGEST_ROOM_SECONDS, _FIRST_ROOM_SECONDS * 2**waits)
        pause -= _clock.jitter(pause / 2)  # so that many do not come back at once
        await self._wait(pb.Suspend(seconds=pause, name=name), [name])

    async def results(
        self, children: Sequence[Child], *, return_exceptions: bool = False
    ) -> list[Any]:
        """Return the results of all, in their order, or raise the first failure among them."""
        await self.spawn(children)
        await self._outcomes([child.name for child in children])
        found = [self._result(child) for child in children]
        failures = [item for item in found if isinstance(item, ChildFailed)]
        if failures and not return_exceptions:
            raise failures[0]
        return found

    async def ask(
        self,
        question: str,
        content: Any,
        *,
        approve: bool,
        ttl: float | timedelta | None,
        choices: Sequence[str] = (),
        name: str | None,
    ) -> Approval:
        """Return what somebody answers; raises `ApprovalExpired`."""
        if not 1 <= len(question) <= _LONGEST_QUESTION:
            raise ValueError(f"a question has 1 to {_LONGEST_QUESTION} characters")
        name = name or self._numbered("approve" if approve else "ask")
        self._use(name, pb.STEP_KIND_QUESTION)
        ask = pb.Ask(
            name=name,
            kind=pb.ASK_KIND_APPROVE if approve else pb.ASK_KIND_ASK,
            question=question,
            data=self._value(name, content),
            ttl_seconds=_time_to_answer(name, ttl),
            choices=choices,
        )
        if name in self._kept:
            self._same(name, _fingerprints.of_question(ask))
        else:
            async with self._bridge.working():
                await self._bridge.ask(pb.Command(ask=ask))
            await self._outcomes([name])
        return self._answer(name)

    async def sleep(self, seconds: float | timedelta, *, name: str | None) -> None:
        """Return when the time is over, without a slot meanwhile."""
        name = name or self._numbered("sleep")
        self._use(name, pb.STEP_KIND_TIMER)
        if (length := _seconds(seconds)) > 0:
            await self._wait(pb.Suspend(seconds=length, name=name), [name])

    async def _outcomes(self, names: Sequence[str]) -> None:
        await self._wait(pb.Suspend(), names)

    async def _wait(self, wanted: pb.Suspend, names: Sequence[str]) -> None:
        """Return when each of `names` has an outcome; mostly that is in another lease."""
        if _in_a_step.get():
            message = f"a step cannot wait for {names[0]!r}: it would begin again and again"
            raise TaskError(message, code="wait_in_step")
        while missing := [name for name in dict.fromkeys(names) if name not in self._kept]:
            known = len(self._kept)
            if not wanted.seconds:
                wanted = pb.Suspend(names=missing)
            reply = await self._bridge.suspend(wanted)
            self._kept.update({step.name: step for step in reply.resumed.steps})
            if len(self._kept) == known:
                message = f"the server resumed the run without an outcome of {missing[0]!r}"
                raise TaskError(message, code="protocol", retryable=True)

    async def _inside(self, function: Callable[[], Any]) -> Any:
        before = _in_a_step.set(True)
        try:
            return await self._bridge.call(function)
        finally:
            _in_a_step.reset(before)

    def _result(self, child: Child) -> Any:
        step = self._kept[child.name]
        child.task_id = child.task_id or step.task_id
        if step.HasField("failure"):
            message = f"{child.name}: {step.failure.message}"
            return ChildFailed(step.failure.code, message, child.task_id)
        return _values.from_value(step.output)

    def _answer(self, name: str) -> Approval:
        step = self._kept[name]
        if step.HasField("failure"):
            if step.failure.code == "approval_expired":
                raise ApprovalExpired(
                    f"{name}: {step.failure.message or 'nobody answered in time'}"
                )
            raise TaskError(f"{name}: {step.failure.message}", code=step.failure.code)
        said = _values.from_value(step.output)
        return Approval(
            approved=bool(said.get("approved")),
            answer=said.get("answer"),
            by=said.get("by") or "",
            comment=said.get("comment") or "",
        )

    def _numbered(self, word: str) -> str:
        """Return the name of a call that was given none: by its order among those like it."""
        self._numbers[word] += 1
        return f"{word}#{self._numbers[word]}"

    def _use(self, name: str, kind: "pb.StepKind.ValueType") -> None:
        """Refuse a name that this run, or an earlier one, has used for something else."""
        if not 1 <= len(name) <= _LONGEST_NAME:
            raise ValueError(f"the name of a step has 1 to {_LONGEST_NAME} characters: {name!r}")
        if name in self._used:
            message = (
                f"the step name {name!r} is used twice: give each its own, e.g. f'{name}-{{n}}'"
            )
            raise TaskError(message, code="duplicate_step")
        self._used.add(name)
        before = self._kept[name].kind if name in self._kept else pb.STEP_KIND_UNSPECIFIED
        if before not in (pb.STEP_KIND_UNSPECIFIED, kind):
            message = f"{name!r} is {_WORDS[kind]} now and was {_WORDS[before]} in an earlier run"
            raise TaskError(message + ": a handler must do the same again", code="nondeterministic")

    def _same(self, name: str, fingerprint: str) -> None:
        """Refuse to use what was kept for something else; older servers do not say for what."""
        step = self._kept[name]
        if step.fingerprint in ("", fingerprint):
            return
        message = (
            f"{name!r} is {_WORDS[step.kind]}, but not the one of an earlier run: "
            f"{_DIFFERS[step.kind]} differs. Compute what can change (a time, a price) in a "
            "ctx.step, and give what is new another name"
        )
        raise TaskError(message, code="nondeterministic")

    def _value(self, name: str, item: Any) -> Any:
        try:
            value = _values.to_value(item, f"step {name!r}")
        except _values.Unserialisable as error:
            raise TaskError(str(error), code="invalid_output") from error
        if (size := value.ByteSize()) > (limit := self._most_bytes()):
            message = f"step {name!r} has {size} bytes, {limit} are possible"
            raise TaskError(message, code="output_too_large")
        return value


def _time_to_answer(name: str, ttl: Any) -> float | None:
    seconds: Any = ttl.total_seconds() if isinstance(ttl, timedelta) else ttl
    if seconds is None:
        return None
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not is_number or not 0 < seconds <= sys.float_info.max:
        message = (
            f"the question {name!r} cannot have the ttl {ttl!r}: give seconds above 0, or None"
        )
        raise TaskError(message, code="bad_command")
    return seconds


def _seconds(length: float | timedelta) -> float:
    seconds = length.total_seconds() if isinstance(length, timedelta) else length
    if seconds < 0:
        raise ValueError(f"a time cannot be negative: {seconds} s")
    return seconds
