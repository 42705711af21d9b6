"""One file for each use of workflows."""
