"""Draws a tree of tasks as lines of text."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any


def lines(nodes: Sequence[dict[str, Any]]) -> Iterator[str]:
    """One line for each node, below its parent; `nodes` come level by level, the top first."""
    below: dict[str | None, list[dict[str, Any]]] = {}
    for node in nodes[1:]:
        below.setdefault(node["parent_id"], []).append(node)
    if nodes:
        yield _text(nodes[0])
        yield from _branches(below, nodes[0]["id"], "")


def _branches(
    below: dict[str | None, list[dict[str, Any]]], parent: str, indent: str
) -> Iterator[str]:
    children = below.get(parent, [])
    for place, node in enumerate(children):
        is_last = place == len(children) - 1
        yield f"{indent}{'└─ ' if is_last else '├─ '}{_text(node)}"
        yield from _branches(below, node["id"], indent + ("   " if is_last else "│  "))


def _text(node: dict[str, Any]) -> str:
    name = f"{node['name']}: " if node["name"] else ""
    what = node["capability"] or node["agent_name"] or "task"
    error = f" ({node['error']['code']})" if node["error"] else ""
    detached = ", detached" if node["detached"] else ""
    agent = f" on {node['agent_name']}" if node["agent_name"] and node["capability"] else ""
    return f"{name}{what} {node['state']}{error}{_time(node)}{agent}{detached}  {node['id']}"


def _time(node: dict[str, Any]) -> str:
    """How long it took from its submit, or since when it is there."""
    begun = datetime.fromisoformat(node["created_at"]).astimezone(UTC)
    if node["finished_at"] is None:
        return f" since {begun:%H:%M:%S} UTC"
    took = datetime.fromisoformat(node["finished_at"]) - begun
    return f" in {took.total_seconds():.1f} s"
