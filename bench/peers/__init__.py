"""The products we compare ourselves with, started as their own documents say."""

import importlib
from typing import Any


def untyped(module: str) -> Any:
    """A library without types, which a strict checker would otherwise follow into."""
    return importlib.import_module(module)
