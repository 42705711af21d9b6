"""Envoy, the one address for people and agents: configuration, command line, readiness."""

from orchestra.engines.envoy.plan import Door, Plan
from orchestra.engines.envoy.server import Envoy, prepare, render

__all__ = ["Door", "Envoy", "Plan", "prepare", "render"]
