"""Finds the agent in a file, for `orchestra agent run file.py`."""

import importlib.util
import sys
from pathlib import Path

from orchestra_sdk._agent import Agent
from orchestra_sdk._errors import LoadFailed

_MODULE = "orchestra_agent_file"


def load(path: str | Path) -> Agent:
    """Import the file and return its one `Agent`; raises `LoadFailed` when there is not one.

    Like `python file.py`, the file can import what lies beside it; unlike it, `__name__` is not
    `"__main__"`, so its own `agent.run()` does not start.
    """
    path = Path(path).resolve()
    if not path.is_file():
        raise LoadFailed(f"there is no file {path}")
    specification = importlib.util.spec_from_file_location(_MODULE, path)
    if specification is None or specification.loader is None:
        raise LoadFailed(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(specification)
    sys.modules[_MODULE] = module  # dataclasses and pickles look their module up by name
    sys.path.insert(0, str(path.parent))
    try:
        specification.loader.exec_module(module)
    except Exception as error:
        raise LoadFailed(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    agents = {id(item): item for item in vars(module).values() if isinstance(item, Agent)}
    if len(agents) != 1:
        raise LoadFailed(f"{path} must hold one Agent at its top level, it holds {len(agents)}")
    return next(iter(agents.values()))
