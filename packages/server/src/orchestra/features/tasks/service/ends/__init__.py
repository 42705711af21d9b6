"""How runs and tasks end, what is tried again, what is set aside, and what is forgotten."""
