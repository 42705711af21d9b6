"""The known ways in which agents work together, each a small function on `ctx`: read and copy them.

They hold no state of their own: every result, and every decision, is a step of the task that calls
them, so they survive whatever their task survives. A decision is made by a capability, given by its
name, or by a function, whose answer is kept as a step.
"""

from orchestra_sdk.patterns._concurrent import concurrent
from orchestra_sdk.patterns._deciding import Decider
from orchestra_sdk.patterns._group_chat import Said, Table, group_chat
from orchestra_sdk.patterns._hand_off import HandOff, hand_off
from orchestra_sdk.patterns._router import router
from orchestra_sdk.patterns._sequential import sequential
from orchestra_sdk.patterns._situation import Assigned, Decision, Done, Situation
from orchestra_sdk.patterns._supervisor import supervisor

__all__ = [
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
