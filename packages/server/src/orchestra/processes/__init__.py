"""What can be started on a host, and the only place that joins the parts.

Each module that is a command has a `command(argv)`, found by the entry points
`orchestra.host_commands` of this distribution.
"""
