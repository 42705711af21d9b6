"""The process that holds the model: llama.cpp's own HTTP server inside a Python interpreter.

    python -m orchestra.engines.model_server <file> <name> <port> <threads>

The key comes in the environment, since a command line is visible to every user of the machine.
"""

import importlib
import os
import signal
import sys
from typing import Any

# Four answers at once, each with room for 2,048 tokens.
SLOTS = 4
CONTEXT_TOKENS = 2048


def main() -> None:
    file, name, port, threads = sys.argv[1:]
    xllamacpp: Any = importlib.import_module("xllamacpp")  # it has no types
    parameters = xllamacpp.CommonParams()
    parameters.model.path = file
    parameters.model_alias = {name}
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = int(port)
    parameters.api_keys = [os.environ.pop("ORCHESTRA_MODEL_KEY")]
    parameters.n_parallel = SLOTS
    parameters.n_ctx = SLOTS * CONTEXT_TOKENS
    parameters.cpuparams.n_threads = int(threads)
    # What a caller does not choose. Asked for the capital of France, so small a model wanders off
    # half of the time even at 0.2; the penalty ends its endless rows of one sign.
    parameters.sampling.temp = 0.0
    parameters.sampling.top_p = 0.9
    parameters.sampling.penalty_repeat = 1.1
    parameters.warmup = False
    parameters.ui = False
    # Prompts it has seen stay in memory, to answer the next turn of a chat sooner; the default is 8
    # GiB.
    parameters.cache_ram_mib = 256
    server = xllamacpp.Server(parameters)
    signal.pause()
    del server  # it served for as long as it was referenced


if __name__ == "__main__":
    main()
