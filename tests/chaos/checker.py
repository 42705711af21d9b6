"""The judge: reads what a run left behind, and names every promise that was broken.

It knows the seven invariants and nothing of how the product keeps them. I1 acknowledged submits
reach exactly one terminal state · I2 exactly one effect for a key · I3 no write under an old epoch
is accepted · I4 feeds have no silent gap · I5 counts add up at every sample · I6 memory does not
climb · I7 requests that are not aimed at the broken part do not fail.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from chaos.evidence import AttemptRow, Evidence, TaskRow
from chaos.journal import CHILDREN, Effect, Memory, Seen, Try

TERMINAL = frozenset({"succeeded", "failed", "cancelled"})
STATES = TERMINAL | {"queued", "running", "waiting", "cancelling"}
# Of what kind a task is says how it may end; what is not named here must succeed.
MAY_END = {
    "fails": frozenset({"failed"}),
    "cancelled": frozenset({"cancelled", "succeeded"}),
    "tree": frozenset({"cancelled", "succeeded"}),
    "poison": frozenset({"failed"}),
}
MUST_SUCCEED = frozenset({"succeeded"})
NO_EFFECT = frozenset({"fails", "cancelled", "tree", "poison"})
PARENTS = frozenset({"parent", "tree"})
FAILED_SHARE = 0.001
SERVER_ERROR = 500
# Memory of a process that has warmed up may move by this much; a leak grows further.
MEMORY_FACTOR, MEMORY_BYTES = 1.5, 64 * 2**20
# NATS keeps what was written last in memory, as much of it as a task with 100 MB of text says.
MORE_MEMORY = {"nats": 256 * 2**20}
# What one connected agent takes there; bench/RESULTS.md says 61 and 77 KiB.
AGENT_MEMORY = {"control-plane": 80 * 2**10, "gateway": 80 * 2**10}
FEWEST_MEMORY_SAMPLES = 12


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was broken, and on what."""

    invariant: str
    about: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.about}"


def check(evidence: Evidence) -> list[Violation]:
    """Every violation; none means that the run has kept all promises."""
    return [violation for judge in _JUDGES for violation in judge(evidence)]


def acknowledged(tries: list[Try]) -> dict[int, Try]:
    """The first answer that acknowledged each submission."""
    found: dict[int, Try] = {}
    for item in tries:
        if item.task_id:
            found.setdefault(item.submission, item)
    return found


def _i1_one_end(evidence: Evidence) -> Iterator[Violation]:
    by_id = {task.id: task for task in evidence.tasks}
    for item in evidence.tries:
        if item.task_id and item.task_id not in by_id:
            yield Violation("I1", f"submission {item.submission}: {item.task_id} is lost")
    for number, item in acknowledged(evidence.tries).items():
        task = by_id.get(item.task_id)
        allowed = MAY_END.get(item.kind, MUST_SUCCEED)
        if task is not None and task.state not in allowed:
            said = f"{task.state} {task.error_code}".strip()
            yield Violation("I1", f"submission {number} ({item.kind}): {task.id} is {said}")
    for task in evidence.tasks:
        if task.state not in TERMINAL:
            yield Violation("I1", f"{task.id} never ended: it is {task.state}")
    yield from _i1_one_task(evidence)


def _i1_one_task(evidence: Evidence) -> Iterator[Violation]:
    answers: defaultdict[str, set[str]] = defaultdict(set)
    for item in evidence.tries:
        if item.task_id:
            answers[item.key].add(item.task_id)
    for key, ids in answers.items():
        if len(ids) > 1:
            yield Violation("I1", f"key {key} was acknowledged as {len(ids)} tasks")
    for key, count in Counter(task.key for task in evidence.tasks if task.key).items():
        if count > 1:
            yield Violation("I1", f"key {key} has made {count} tasks")


def _i1_children(evidence: Evidence) -> Iterator[Violation]:
    """Whatever became of the parent's leases, each child was made once, and none outlives it."""
    by_parent: defaultdict[str | None, list[TaskRow]] = defaultdict(list)
    for task in evidence.tasks:
        by_parent[task.parent].append(task)
    states = {task.id: task.state for task in evidence.tasks}
    for number, item in acknowledged(evidence.tries).items():
        children, state = by_parent[item.task_id], states.get(item.task_id)
        most = CHILDREN if item.kind in PARENTS else 0
        if len(children) > most or (state == "succeeded" and len(children) < most):
            yield Violation("I1", f"submission {number} has {len(children)} of {most} children")
        for child in children:
            if state == "succeeded" and child.state != "succeeded":
                said = f"{child.state} {child.error_code}".strip()
                yield Violation("I1", f"submission {number} succeeded, child {child.id} is {said}")


def _i2_effects_once(evidence: Evidence) -> Iterator[Violation]:
    keys: defaultdict[int, set[str]] = defaultdict(set)
    for effect in evidence.effects:
        keys[effect.submission].add(effect.key)
    for number, found in keys.items():
        if len(found) > 1:
            yield Violation("I2", f"submission {number} took effect under {len(found)} keys")
    owners: defaultdict[str, set[str]] = defaultdict(set)
    for effect in evidence.effects:
        owners[effect.key].add(effect.task_id)
    for key, ids in owners.items():
        if len(ids) > 1:
            yield Violation("I2", f"key {key} was given to {len(ids)} tasks")
    states = {task.id: task.state for task in evidence.tasks}
    for number, item in acknowledged(evidence.tries).items():
        has_to = states.get(item.task_id) == "succeeded" and item.kind not in NO_EFFECT
        if has_to and number not in keys:
            yield Violation("I2", f"submission {number} succeeded without its effect")


def _i2_children(evidence: Evidence) -> Iterator[Violation]:
    done = {effect.task_id for effect in evidence.effects}
    for task in evidence.tasks:
        if task.parent and task.state == "succeeded" and task.id not in done:
            yield Violation("I2", f"child {task.id} succeeded without its effect")


def _i2_one_run_a_lease(evidence: Evidence) -> Iterator[Violation]:
    """A handler runs once for each lease; a second time under the same one is a doubled effect."""
    for (task, epoch), count in Counter((e.task_id, e.epoch) for e in evidence.effects).items():
        if count > 1:
            yield Violation("I2", f"{task} took effect {count} times under epoch {epoch}")
    leases = {(item.task_id, item.epoch) for item in evidence.attempts}
    for effect in evidence.effects:
        if (effect.task_id, effect.epoch) not in leases:
            yield Violation("I2", f"{effect.task_id} ran under epoch {effect.epoch}, never given")


def _i3_epochs(evidence: Evidence) -> Iterator[Violation]:
    by_task: defaultdict[str, list[AttemptRow]] = defaultdict(list)
    for row in evidence.attempts:
        by_task[row.task_id].append(row)
    for task in evidence.tasks:
        rows = sorted(by_task[task.id], key=lambda row: row.epoch)
        yield from _i3_attempts(task, rows)
        yield from _i3_result(task, rows)


def _i3_attempts(task: TaskRow, rows: list[AttemptRow]) -> Iterator[Violation]:
    if sum(row.outcome == "succeeded" for row in rows) > 1:
        yield Violation("I3", f"{task.id} succeeded in several attempts")
    for earlier, later in pairwise(rows):
        if earlier.outcome == "succeeded":
            yield Violation("I3", f"{task.id} ran again after epoch {earlier.epoch} succeeded")
        if later.attempt < earlier.attempt:
            yield Violation("I3", f"{task.id}: attempts go back at epoch {later.epoch}")
        if not earlier.is_ended:
            yield Violation("I3", f"{task.id}: epoch {earlier.epoch} never ended")
    if rows and rows[-1].epoch > task.epoch:
        yield Violation("I3", f"{task.id} is at {task.epoch}, but had lease {rows[-1].epoch}")
    if task.attempt > task.max_attempts:
        yield Violation("I3", f"{task.id} had {task.attempt} of {task.max_attempts} attempts")


def _i3_result(task: TaskRow, rows: list[AttemptRow]) -> Iterator[Violation]:
    """Our handlers say in their result under which epoch they ran: it has to be the last lease."""
    if task.state != "succeeded":
        return
    said = (task.result or {}).get("epoch")
    if not rows or said != rows[-1].epoch or said != task.epoch:
        yield Violation("I3", f"{task.id} at epoch {task.epoch} has the result of epoch {said}")
    elif rows[-1].outcome != "succeeded":
        yield Violation("I3", f"{task.id} succeeded, its attempt says {rows[-1].outcome}")


def _i4_feeds(evidence: Evidence) -> Iterator[Violation]:
    readers: defaultdict[int, list[Seen]] = defaultdict(list)
    for item in evidence.seen:
        readers[item.reader].append(item)
    states = {task.id: task.state for task in evidence.tasks}
    for reader, events in readers.items():
        yield from _i4_order(reader, events)
        last = events[-1]
        if last.event not in ("task.finished", "task.snapshot") or last.state not in TERMINAL:
            yield Violation("I4", f"reader {reader} was not shown the end of {last.task_id}")
        elif last.state != states.get(last.task_id):
            yield Violation("I4", f"reader {reader} was shown {last.state} for {last.task_id}")


def _i4_order(reader: int, events: list[Seen]) -> Iterator[Violation]:
    known: tuple[int, int] | None = None
    is_excused = False  # a gap was announced, or a snapshot replaces what is missing
    for item in events:
        if item.event in ("gap", "task.snapshot"):
            is_excused = True
        if not item.cursor:
            continue
        epoch, _, number = item.cursor.partition(":")
        key = int(epoch), int(number)
        if item.event != "task.snapshot" and known is not None:
            if key <= known:
                yield Violation("I4", f"reader {reader}: {item.cursor} came after {known}")
            elif not is_excused and not _follows(known, key):
                yield Violation("I4", f"reader {reader}: {item.cursor} follows {known}")
        known = max(known or key, key)
        is_excused = item.event == "task.snapshot"


def _follows(known: tuple[int, int], key: tuple[int, int]) -> bool:
    return key[1] == 0 if key[0] > known[0] else key[1] == known[1] + 1


def _i5_counts(evidence: Evidence) -> Iterator[Violation]:
    over = 0
    for sample in sorted(evidence.samples, key=lambda sample: sample.at):
        at = f"at {sample.at:.1f}"
        if unknown := set(sample.by_state) - STATES:
            yield Violation("I5", f"{at} there are tasks in state {', '.join(sorted(unknown))}")
        if sum(sample.by_state.values()) != sample.total:
            yield Violation("I5", f"{at} the states add up to another number than {sample.total}")
        if not sample.acknowledged <= sample.total <= sample.begun:
            said = f"{sample.acknowledged} acknowledged, {sample.begun} begun"
            yield Violation("I5", f"{at} there are {sample.total} tasks: {said}")
        ended = sum(sample.by_state.get(state, 0) for state in TERMINAL)
        if ended < over:
            yield Violation("I5", f"{at} {over - ended} tasks that were over are not any more")
        over = max(over, ended)


def _i6_memory(evidence: Evidence) -> Iterator[Violation]:
    processes: defaultdict[tuple[str, int], list[Memory]] = defaultdict(list)
    for item in evidence.memory:
        processes[item.name, item.pid].append(item)
    for (name, pid), samples in processes.items():
        if len(samples) < FEWEST_MEMORY_SAMPLES:
            continue
        quarter = len(samples) // 4
        before = median(item.resident for item in samples[quarter : 2 * quarter])
        after = median(item.resident for item in samples[-quarter:])
        more = MORE_MEMORY.get(name, MEMORY_BYTES) + evidence.fleet * AGENT_MEMORY.get(name, 0)
        if after > before * MEMORY_FACTOR + more:
            grew = f"{before / 2**20:.0f} to {after / 2**20:.0f} MiB"
            yield Violation("I6", f"{name} ({pid}) grew from {grew}")


def _i7_requests(evidence: Evidence) -> Iterator[Violation]:
    done = [item for item in evidence.tries if not item.is_begun]
    judged = [item for item in done if not _is_excused(evidence, item)]
    failed = [item for item in judged if item.status == 0 or item.status >= SERVER_ERROR]
    if judged and len(failed) / len(judged) >= FAILED_SHARE:
        statuses = dict(Counter(item.status for item in failed))
        yield Violation("I7", f"{len(failed)} of {len(judged)} requests failed: {statuses}")
    for item in done:
        if item.status == 503 and not item.has_retry_after:
            yield Violation("I7", f"submission {item.submission}: 503 without Retry-After")


def _is_excused(evidence: Evidence, item: Try) -> bool:
    """It was under way while what it needs was broken."""
    return any(item.began <= each.ended and item.ended >= each.began for each in evidence.broken)


_JUDGES: tuple[Callable[[Evidence], Iterator[Violation]], ...] = (
    _i1_one_end,
    _i1_children,
    _i2_effects_once,
    _i2_children,
    _i2_one_run_a_lease,
    _i3_epochs,
    _i4_feeds,
    _i5_counts,
    _i6_memory,
    _i7_requests,
)


def doubled(effects: list[Effect]) -> int:
    """Effects beyond the first of their key: what a receiver that ignores keys would see twice."""
    return len(effects) - len({effect.key for effect in effects})
