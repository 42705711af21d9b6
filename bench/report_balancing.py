"""The section about choosing among agents that differ."""

from collections.abc import Sequence

from bench.balancing import TOGETHER, Outcome
from bench.report import Goal, Section
from bench.uneven import KINDS, SLOTS


def balancing(found: Sequence[Outcome]) -> Section:
    kinds = "; ".join(
        f"`{kind.name}` {1e3 * kind.seconds:.0f} ms, processor {kind.cpu_usage:.0%} in use"
        for kind in KINDS
    )
    lines = [
        f"Three agents of {SLOTS} slots ({kinds}). Delays from submit to done in an open loop of "
        f"{TOGETHER / 10:.0f} tasks a second, a tenth of what they can do; tasks/s of a backlog. "
        "Same agent: how often a conversation met the agent of its last task (its tasks carry a "
        "key under `affinity` only).",
        "",
        f"| balancing | p50 ms | p99 ms | tasks/s | same agent | {_names()} |",
        f"|---|---|---|---|---|{'---|' * len(KINDS)}",
        *(_row(item) for item in found),
    ]
    by_name = {item.strategy: item for item in found}
    turn, latency = by_name["round_robin"], by_name["latency"]
    same = by_name["affinity"].same_agent
    goals = [
        Goal(
            "p50 by latency, beside round robin",
            "≤ 0.7×",
            f"{latency.p50_ms / turn.p50_ms:.2f}×",
            latency.p50_ms <= 0.7 * turn.p50_ms,
        ),
        Goal(
            "conversations that stay with their agent",
            "≥ 95 %",
            f"{same:.0%}",
            same >= 0.95,
        ),
    ]
    return Section("Balancing among uneven agents", "balancing", lines, goals)


def _names() -> str:
    return " | ".join(f"to `{kind.name}`" for kind in KINDS)


def _row(item: Outcome) -> str:
    shares = " | ".join(f"{item.by_agent[kind.name]:.0%}" for kind in KINDS)
    return (
        f"| `{item.strategy}` | {item.p50_ms:.1f} | {item.p99_ms:.1f} | {item.per_second:.0f} | "
        f"{item.same_agent:.0%} | {shares} |"
    )
