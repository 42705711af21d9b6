"""The agents' streams of one control plane, and the runs on them from Hello to the end."""
