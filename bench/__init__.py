"""Side-by-side comparisons with peers. `python -m bench` runs them all and writes RESULTS.md."""
