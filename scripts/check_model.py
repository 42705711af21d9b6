"""Checks the model file, so that a damaged download shows now and not in the first chat."""

import sys
from pathlib import Path

from orchestra.engines import binaries, model
from orchestra.engines.errors import EngineError

MEMORY = Path(sys.prefix) / ".model.json"


def main() -> int:
    try:
        model.verify(binaries.model_file(), memory=MEMORY)
    except EngineError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 1
    print(f"The local model {model.MODEL_NAME} is complete")
    return 0


if __name__ == "__main__":
    sys.exit(main())
