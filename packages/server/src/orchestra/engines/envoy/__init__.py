"""Envoy, the one address for people and agents: its configuration, its command line, its readiness."""

from orchestra.engines.envoy.plan import Door, Plan, Upstream
from orchestra.engines.envoy.server import Envoy, prepare, render

__all__ = ["Door", "Envoy", "Plan", "Upstream", "prepare", "render"]
