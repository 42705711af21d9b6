"""What REST carries about approvals."""

import uuid
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from orchestra.features.tasks.types import Approval
from orchestra.foundation.web import Body, View


class AnswerRequest(Body):
    """`data_hash` is that of the approval which the person has seen.

    `answer` is for a question: one of its choices, or a text of 1 byte to 16 KiB where it has none.
    """

    data_hash: Annotated[str, msgspec.Meta(min_length=64, max_length=64)]
    decision: Literal["approve", "reject"] = "approve"
    answer: str | None = None
    comment: Annotated[str, msgspec.Meta(max_length=2000)] = ""


class ApprovalView(View):
    """A question of a task. `data` is exactly what is approved; `data_hash` is bound to all of it.

    `data_hash` is the SHA-256 of the canonical JSON (sorted keys, no spaces) of
    `{choices, data, kind, question}`, in hexadecimal.
    """

    id: uuid.UUID
    task_id: uuid.UUID
    user_id: uuid.UUID
    name: str
    kind: str
    question: str
    data: Any
    data_hash: str
    choices: list[str]
    state: str
    answer: Any
    comment: str
    answered_by: str | None
    answered_at: datetime | None
    created_at: datetime
    expires_at: datetime


def approval_view(item: Approval) -> ApprovalView:
    return ApprovalView(**{name: getattr(item, name) for name in Approval.__slots__})
