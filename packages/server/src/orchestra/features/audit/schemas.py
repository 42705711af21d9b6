"""What the audit log looks like over REST."""

from datetime import datetime
from typing import Any

from orchestra.foundation.web import View


class ActorView(View):
    """Who acted: `kind` is user, key, agent, run or system."""

    kind: str
    id: str
    name: str


class TargetView(View):
    """What was acted upon."""

    kind: str
    id: str


class AuditEntry(View):
    """One recorded change."""

    id: int
    at: datetime
    actor: ActorView
    action: str
    target: TargetView
    details: dict[str, Any]
    ip: str
    request_id: str


class Verification(View):
    """`first_bad_id` is the first row that somebody touched; None: the whole chain holds."""

    intact: bool
    first_bad_id: int | None
