"""Takes tasks in: checks what is wanted, finds room for it, and shares commits."""
