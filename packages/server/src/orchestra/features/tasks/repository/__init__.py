"""SQL of tasks, by what it is for: submitting, claiming, ending, leases, reading."""
