"""What a fault is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from chaos import needs
from chaos.disk import Disk
from chaos.load import ORDINARY
from chaos.stage import Size, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One line of the fault matrix.

    `run` breaks and heals while the load is on. `prepare` is called before agents start. With
    `settings` the fault needs a product of its own. `is_short`: it is one of those that CI runs.
    `disk` makes one for the product's home. `lacks` says what this machine lacks for the fault.
    """

    name: str
    about: str
    run: Callable[[Stage], None]
    prepare: Callable[[Stage], None] = lambda _stage: None
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    kinds: Mapping[str, int] = field(default_factory=lambda: ORDINARY)
    size: Size = field(default_factory=Size)
    is_short: bool = False
    own_product: bool = False
    revision: str = ""  # of this repository, with whose code the product starts
    disk: Callable[[Path], Disk] | None = None
    lacks: Callable[[], str] = needs.nothing
