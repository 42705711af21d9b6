"""The `orchestra` command: chat, tasks, agents and administration over the public API.

It knows the HTTP contract and the SDK, never the server: host commands such as `up` are found by
entry points. Importing a module here stays cheap, because `orchestra --help` answers at once.
"""
