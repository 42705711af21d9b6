"""What the control plane in memory does about the commands of a run: steps, children, waits."""

import asyncio
from typing import Protocol

from orchestra_protocol import agent_pb2 as pb

from orchestra_sdk import _clock, _fingerprints, _values
from orchestra_sdk.testing._question import Question
from orchestra_sdk.testing._task import SubmittedTask

_ATTEMPTS = 3


class _Dispatch(Protocol):
    def add(self, task: SubmittedTask) -> None: ...
    def resume(self, task: SubmittedTask) -> None: ...
    def cancel(self, task: SubmittedTask, reason: str) -> None: ...
    def revoke(self, task: SubmittedTask) -> None: ...


class Orchestration:
    """Answers commands; every one is recognised by its name when it comes again."""

    def __init__(self, dispatch: _Dispatch) -> None:
        self._dispatch = dispatch

    def answer(self, task: SubmittedTask, command: pb.Command) -> pb.Reply:
        """Do what the run asks."""
        kind = command.WhichOneof("command")
        if kind == "save_step":
            reply = self._save(task, command.save_step)
        elif task.state == "cancelling":
            reply = _refusal("cancelling", "the task is being cancelled")
        elif kind == "spawn":
            reply = self._spawn(task, command.spawn)
        elif kind == "ask":
            reply = self._ask(task, command.ask)
        else:
            reply = self._suspend(task, command.suspend)
        reply.id = command.id
        return reply

    def ended(self, task: SubmittedTask) -> None:
        """Tell the parent of a task that has ended, and cancel what it leaves behind."""
        for child in task.children.values():
            if not (child.finished or child.detached):
                self._dispatch.cancel(child, "its parent has ended")
        if task.parent is not None:
            self._keep(task.parent, _outcome(task))

    def _save(self, task: SubmittedTask, wanted: pb.SaveStep) -> pb.Reply:
        if refused := _taken(task, wanted.name, pb.STEP_KIND_EFFECT):
            return refused
        if wanted.name not in task.steps:
            step = pb.Step(name=wanted.name, output=wanted.output, kind=pb.STEP_KIND_EFFECT)
            self._keep(task, step)
        return pb.Reply(saved=pb.Saved())

    def _spawn(self, task: SubmittedTask, wanted: pb.Spawn) -> pb.Reply:
        for child in wanted.children:
            if refused := _taken(task, child.name, pb.STEP_KIND_CHILD):
                return refused
            known = task.children.get(child.name)
            if known is not None and known.fingerprint != _fingerprints.of_child(child):
                return _refusal("nondeterministic", f"{child.name!r} was other work before")
        ids = [self._child(task, child).id for child in wanted.children]
        task.changed()
        return pb.Reply(spawned=pb.Spawned(task_ids=ids))

    def _child(self, parent: SubmittedTask, wanted: pb.Child) -> SubmittedTask:
        if wanted.name in parent.children:
            return parent.children[wanted.name]
        task_id = _clock.new_id()
        assignment = pb.Assignment(
            capability=wanted.capability,
            input=wanted.input,
            idempotency_key=task_id,
            run_token=parent.assignment.run_token,
            submitter=parent.assignment.submitter,
            parent_id=parent.id,
        )
        child = SubmittedTask(
            dispatch=self._dispatch,
            task_id=task_id,
            assignment=assignment,
            max_attempts=wanted.max_attempts or _ATTEMPTS,
        )
        child.name, child.parent, child.detached = wanted.name, parent, wanted.detached
        child.fingerprint = _fingerprints.of_child(wanted)
        parent.children[wanted.name] = child
        asyncio.get_running_loop().call_later(wanted.delay_seconds, self._dispatch.add, child)
        return child

    def _ask(self, task: SubmittedTask, wanted: pb.Ask) -> pb.Reply:
        if refused := _taken(task, wanted.name, pb.STEP_KIND_QUESTION):
            return refused
        question = Question(wanted, lambda step: self._keep(task, step))
        known = task.questions.get(wanted.name)
        if known is not None and known.fingerprint != question.fingerprint:
            return _refusal("nondeterministic", f"{wanted.name!r} asked something else before")
        if known is None:
            task.questions[wanted.name] = question
            if wanted.ttl_seconds:
                asyncio.get_running_loop().call_later(wanted.ttl_seconds, question.expire)
            task.changed()
        asked = pb.Asked(approval_id=f"{task.id}/{wanted.name}", data_hash=question.fingerprint)
        return pb.Reply(asked=asked)

    def _suspend(self, task: SubmittedTask, wanted: pb.Suspend) -> pb.Reply:
        timers = _timers(wanted)
        for name in timers:
            if refused := _taken(task, name, pb.STEP_KIND_TIMER):
                return refused
        for name, seconds in timers.items():
            self._begin(task, name, seconds)
        if _ready(task, wanted):
            names = [*wanted.names, *timers]
            steps = [task.steps[name] for name in names if name in task.steps]
            return pb.Reply(resumed=pb.Resumed(steps=steps))
        task.suspended(wanted)
        return pb.Reply(suspended=pb.Suspended())

    def _begin(self, task: SubmittedTask, name: str, seconds: float) -> None:
        """Begin a timer, unless an earlier lease has."""
        if name not in task.timers:
            step = pb.Step(name=name, kind=pb.STEP_KIND_TIMER, output=_values.to_value(None))
            loop = asyncio.get_running_loop()
            task.timers[name] = loop.call_later(seconds, self._keep, task, step)

    def _keep(self, task: SubmittedTask, step: pb.Step) -> None:
        task.steps.setdefault(step.name, step)
        if task.state == "waiting" and task.waits_for and _ready(task, task.waits_for):
            self._dispatch.resume(task)
        task.changed()


def _ready(task: SubmittedTask, wanted: pb.Suspend) -> bool:
    there = [name in task.steps for name in wanted.names]
    enough = any(there) if wanted.any else bool(there) and all(there)
    return enough or any(name in task.steps for name in _timers(wanted))


def _timers(wanted: pb.Suspend) -> dict[str, float]:
    """Return the seconds of each timer by its name."""
    first = {wanted.name: wanted.seconds} if wanted.name else {}
    return first | {timer.name: timer.seconds for timer in wanted.timers}


def _taken(task: SubmittedTask, name: str, kind: "pb.StepKind.ValueType") -> pb.Reply | None:
    """Return the refusal of a name that the task has used for something else."""
    used = {
        pb.STEP_KIND_CHILD: name in task.children,
        pb.STEP_KIND_QUESTION: name in task.questions,
        pb.STEP_KIND_TIMER: name in task.timers,
    }
    used[pb.STEP_KIND_EFFECT] = name in task.steps and not any(used.values())
    if not any(taken for other, taken in used.items() if other != kind):
        return None
    return _refusal("nondeterministic", f"{name!r} was something else in an earlier run")


def _refusal(code: str, message: str) -> pb.Reply:
    return pb.Reply(refused=pb.Failure(code=code, message=message))


def _outcome(child: SubmittedTask) -> pb.Step:
    step = pb.Step(
        name=child.name,
        kind=pb.STEP_KIND_CHILD,
        task_id=child.id,
        fingerprint=child.fingerprint,
    )
    last = child.events[-1] if child.events else pb.AgentEvent()
    if child.state == "succeeded":
        step.output.CopyFrom(last.result.output)
    elif child.state == "failed":
        step.failure.CopyFrom(last.failure)
    else:
        step.failure.code, step.failure.message = "cancelled", "the child task was cancelled"
    return step
