"""Keeps out of a process what its libraries import only in case somebody wants it.

structlog takes rich for coloured tracebacks and nats-py takes aiohttp for WebSockets. We log JSON
and speak plain NATS, and the two are a quarter of a process's start (0.25 s of processor time).
"""

import importlib
import sys

# Who imports what. Both say `except ImportError`, which is what None in sys.modules raises.
OPTIONAL = {"structlog": "rich", "nats.aio.client": "aiohttp"}


def import_lean() -> None:
    """Imports these libraries without their options; who wants an option can import it after."""
    for library, option in OPTIONAL.items():
        if option in sys.modules:
            continue
        sys.modules[option] = None  # pyright: ignore[reportArgumentType] - documented, see import system
        try:
            importlib.import_module(library)
        finally:
            del sys.modules[option]
