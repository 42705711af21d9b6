"""What authors may rely on; a change here is a change of the product."""

import orchestra_sdk
from orchestra_sdk import patterns, testing


def test_the_public_names_are_these() -> None:
    assert sorted(orchestra_sdk.__all__) == [
        "AccessDenied",
        "Agent",
        "AgentError",
        "Approval",
        "ApprovalExpired",
        "BlobError",
        "Child",
        "ChildFailed",
        "ChildOptions",
        "Context",
        "EnrolmentFailed",
        "InvalidInput",
        "LoadFailed",
        "NotConfigured",
        "Rejected",
        "StateInUse",
        "SyncContext",
        "TaskCancelled",
        "TaskError",
        "enroll",
        "load",
    ]
    assert sorted(testing.__all__) == [
        "ConnectedAgent",
        "ControlPlane",
        "Question",
        "SubmittedTask",
        "TaskFailed",
        "serving",
        "until",
    ]


def test_a_context_offers_these_words() -> None:
    words = {name for name in dir(orchestra_sdk.Context) if not name.startswith("_")}
    assert words == {
        "approve",
        "ask",
        "attempt",
        "blobs",
        "call",
        "cancelled",
        "capability",
        "deadline",
        "emit",
        "epoch",
        "gather",
        "idempotency_key",
        "log",
        "model_base_url",
        "parent_id",
        "progress",
        "raise_if_cancelled",
        "run",
        "run_token",
        "sleep",
        "spawn",
        "step",
        "submitter",
        "task_id",
        "trace_parent",
    }
    assert words == {name for name in dir(orchestra_sdk.SyncContext) if not name.startswith("_")}


def test_the_patterns_are_these() -> None:
    assert sorted(patterns.__all__) == [
        "Assigned",
        "Decider",
        "Decision",
        "Done",
        "HandOff",
        "Said",
        "Situation",
        "Table",
        "concurrent",
        "group_chat",
        "hand_off",
        "router",
        "sequential",
        "supervisor",
    ]
