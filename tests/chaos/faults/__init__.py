"""What can be broken: each fault breaks one thing, at a moment its seed chooses, and heals it."""

from collections.abc import Mapping

from chaos.faults import agents, engines, outside, processes
from chaos.faults.fault import Fault

ALL: Mapping[str, Fault] = {
    fault.name: fault
    for fault in (*processes.FAULTS, *agents.FAULTS, *engines.FAULTS, *outside.FAULTS)
}

__all__ = ["ALL", "Fault"]
