"""The section about faults: what each system has lost and doubled, and when it went on."""

from collections.abc import Mapping, Sequence

from bench.faults import FAULT_AT, PATIENCE_SECONDS, RATE, TASKS, WORDS, Damage
from bench.report import Goal, Section

HEAD = (
    "| system | acknowledged | refused | lost | doubled | next effect | last effect |",
    "|---|---|---|---|---|---|---|",
)


def faults(found: Mapping[str, Sequence[Damage]]) -> Section:
    """By fault the systems, ours first."""
    lines = [
        f"{TASKS} tasks at {RATE:g} a second; the fault comes after {FAULT_AT} of them. Lost: "
        f"acknowledged, and no effect within {PATIENCE_SECONDS:g} s after the last submit. "
        "Doubled: effects beyond the first. Seconds count from the fault.",
    ]
    for name, damages in found.items():
        lines += ["", f"{WORDS[name][0].upper()}{WORDS[name][1:]}:", "", *HEAD]
        lines += [damage.row for damage in damages]
    ours = [damages[0] for damages in found.values()]
    lost, doubled = sum(one.lost for one in ours), sum(one.doubled for one in ours)
    goals = [
        Goal("tasks lost, of ours", "0", str(lost), lost == 0),
        Goal("effects doubled, of ours", "0", str(doubled), doubled == 0),
    ]
    return Section("The same faults side by side", "faults", lines, goals)
