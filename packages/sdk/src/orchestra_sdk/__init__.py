"""Write an agent for AI Orchestra: a function and a decorator.

This package knows the wire contract and nothing of the server. What is named here is public and
frozen by a test; every module with an underscore is private.
"""

from orchestra_sdk._agent import Agent
from orchestra_sdk._children import Child, ChildOptions
from orchestra_sdk._context import Context, SyncContext
from orchestra_sdk._enrolment import enroll
from orchestra_sdk._errors import (
    AccessDenied,
    AgentError,
    ApprovalExpired,
    BlobError,
    ChildFailed,
    EnrolmentFailed,
    InvalidInput,
    LoadFailed,
    NotConfigured,
    Rejected,
    StateInUse,
    TaskCancelled,
    TaskError,
)
from orchestra_sdk._loading import load
from orchestra_sdk._steps import Approval

__all__ = [
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
