"""What can be done with agents, one file per use case."""
