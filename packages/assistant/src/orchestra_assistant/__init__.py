"""The built-in chat agent, an ordinary agent on the public SDK.

It answers the turns of conversations with whatever model the instance offers at its
OpenAI-compatible API. It knows nothing of the server, and has no key but that of the run.
"""
