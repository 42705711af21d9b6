"""The same as in the foreground, but in a process of its own; we only wait until it is ready."""

import json
import subprocess
import sys
from typing import Any

from orchestra.engines.errors import EngineError
from orchestra.foundation.settings import Settings
from orchestra.processes import instance, logs, terminal, welcome

NAME = "up"


class NotStarted(EngineError):
    """The instance did not start."""


def start(settings: Settings, *, as_json: bool) -> int:
    """Returns when the instance is ready; raises NotStarted with its last words."""
    instance.make_data_directory(settings)
    directory = settings.data_dir / "logs"
    ports = ["--http-port", str(settings.http_port), "--https-port", str(settings.https_port)]
    arguments = ["up", "--json", "--data-dir", str(settings.data_dir), *ports]
    with logs.open_log(directory, NAME) as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "orchestra.processes", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=output,
            start_new_session=True,
            text=True,
        )
    answer = _read_answer(child)
    if answer is None:
        raise NotStarted(logs.last_line(directory, NAME).removeprefix("error: "))
    if as_json:
        terminal.answer_json(answer)
    else:
        terminal.answer(welcome.text(answer["url"], answer["setup_url"]))
    return terminal.SUCCESS


def _read_answer(child: subprocess.Popen[str]) -> dict[str, Any] | None:
    """The line it prints once it is ready; None if it ended before."""
    if child.stdout is None:
        return None
    with child.stdout:
        line = child.stdout.readline()
    if not line:
        child.wait()
        return None
    return json.loads(line)
