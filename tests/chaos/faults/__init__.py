"""What can be broken: each fault breaks one thing, at a moment its seed chooses, and heals it."""

from collections.abc import Mapping

from chaos.faults import (
    agents,
    disks,
    engines,
    network,
    outside,
    processes,
    providers,
    several,
    storm,
    versions,
)
from chaos.faults.fault import Fault

KINDS = (
    processes,
    several,
    versions,
    agents,
    engines,
    outside,
    providers,
    network,
    disks,
    storm,
)
ALL: Mapping[str, Fault] = {fault.name: fault for kind in KINDS for fault in kind.FAULTS}

__all__ = ["ALL", "Fault"]
