"""Work for agents: submit, dispatch, follow, cancel, and never lose or repeat it."""
