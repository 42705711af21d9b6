"""What can be done with tasks, one file per use case."""
