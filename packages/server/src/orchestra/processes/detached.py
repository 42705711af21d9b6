"""The same as in the foreground, but in a process of its own; we only wait until it is ready."""

import json
import os
from pathlib import Path

from orchestra.engines.errors import EngineError
from orchestra.foundation.settings import Settings
from orchestra.processes import foreground, instance, logs, terminal, welcome

NAME = "up"


class NotStarted(EngineError):
    """The instance did not start."""


def start(settings: Settings, *, as_json: bool) -> int:
    """Returns when the instance is ready; raises NotStarted with its last words."""
    instance.make_data_directory(settings)
    directory = settings.data_dir / "logs"
    answer = _run_apart(settings, directory)
    if not answer:
        raise NotStarted(logs.last_line(directory, NAME).removeprefix("error: "))
    if as_json:
        terminal.answer(answer.strip())
    else:
        known = json.loads(answer)
        terminal.answer(welcome.text(known["url"], known["setup_url"]))
    return terminal.SUCCESS


def _run_apart(settings: Settings, directory: Path) -> str:
    """The line that it prints once it is ready, or nothing if it ended before.

    A fork, since a fresh interpreter would import everything again; there is no thread yet.
    """
    reading, writing = os.pipe()
    with logs.open_log(directory, NAME) as log:
        if os.fork() == 0:
            os.close(reading)
            _become_independent(output=writing, errors=log.fileno())
            os._exit(terminal.guard(lambda: foreground.start(settings, as_json=True)))
    os.close(writing)
    with os.fdopen(reading) as answers:
        return answers.readline()


def _become_independent(*, output: int, errors: int) -> None:
    """Leaves the terminal, so that closing it or Ctrl-C in it does nothing to us."""
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, standard in ((nothing, 0), (output, 1), (errors, 2)):
        os.dup2(descriptor, standard)
        os.close(descriptor)
