"""The built-in chat agent, an ordinary agent on the public SDK."""
