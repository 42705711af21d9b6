"""Starts PostgreSQL, NATS, Envoy and the model server on this machine, from the wheels that carry
them.

For each engine: how to prepare its directory, its command line, when it is ready, how it stops.
What is stored in an engine is none of this package's business: it knows no feature and no setting.
"""
