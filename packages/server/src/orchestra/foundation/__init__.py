"""What every feature stands on: settings, database, messaging, doors, errors, clock, ids, logs.

It must not know any feature; features hand themselves in (authenticators, routes, handlers).
"""
