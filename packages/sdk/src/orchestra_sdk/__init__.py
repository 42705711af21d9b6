"""Write an agent for AI Orchestra: a function and a decorator."""
