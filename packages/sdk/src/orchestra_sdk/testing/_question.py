"""A question of a task to people, as the one who answers sees it."""

from collections.abc import Callable
from typing import Any

from orchestra_protocol import agent_pb2 as pb

from orchestra_sdk import _fingerprints, _values


class Question:
    """What `ctx.approve` or `ctx.ask` asks; the first answer counts."""

    def __init__(self, ask: pb.Ask, keep: Callable[[pb.Step], None]) -> None:
        self._keep = keep
        self.name = ask.name
        self.approve = ask.kind == pb.ASK_KIND_APPROVE
        self.question = ask.question
        self.content = _values.from_value(ask.data)
        self.choices = list(ask.choices)
        self.ttl_seconds = ask.ttl_seconds
        self.fingerprint = _fingerprints.of_question(ask)
        self.answered = False

    def answer(
        self, approved: bool = True, *, answer: Any = None, by: str = "tester", comment: str = ""
    ) -> None:
        """Give the answer; the task that waits for it goes on."""
        said = {"approved": approved, "answer": answer, "by": by, "comment": comment}
        self._end(pb.Step(output=_values.to_value(said)))

    def expire(self) -> None:
        """Let the time to answer be over, as it is after `ttl_seconds`."""
        failure = pb.Failure(code="approval_expired", message="nobody answered in time")
        self._end(pb.Step(failure=failure))

    def _end(self, step: pb.Step) -> None:
        if self.answered:
            return
        self.answered = True
        step.name, step.kind = self.name, pb.STEP_KIND_QUESTION
        step.fingerprint = self.fingerprint
        self._keep(step)
