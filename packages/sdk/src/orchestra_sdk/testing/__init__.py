"""A control plane in memory, to test agents against: a real gRPC server, the real contract.

    async with ControlPlane() as plane, serving(agent, plane):
        task = await plane.submit("echo", {"text": "hello"})
        assert await task.result() == {"text": "hello"}

It can also misbehave in the ways a real one does under faults. It keeps nothing on disk and knows
no users.
"""

from orchestra_sdk.testing._agents import ConnectedAgent
from orchestra_sdk.testing._plane import ControlPlane
from orchestra_sdk.testing._question import Question
from orchestra_sdk.testing._serving import serving
from orchestra_sdk.testing._task import SubmittedTask, TaskFailed
from orchestra_sdk.testing._waiting import until

__all__ = [
    "ConnectedAgent",
    "ControlPlane",
    "Question",
    "SubmittedTask",
    "TaskFailed",
    "serving",
    "until",
]
