"""Breaks the real product on purpose and proves afterwards that nothing was lost or doubled.

A run starts the product, agents and a load, breaks something at a moment that its seed chooses,
heals it, waits until every task is over, and hands what was written down meanwhile to a checker
that knows none of our code: `python -m chaos --help`, or README.md.
"""
