"""The task engine in simulated time: whole lives of a small installation, thousands in a minute.

Only the decisions are real (`lifecycle.step` and its transition table); rows, streams, processes
and the clock are models, so that one seed is one exact course of crashes, pauses, lost, late and
repeated messages. `python -m simulation --help` runs many; `--planted` shows that a bug would be
found.
"""
