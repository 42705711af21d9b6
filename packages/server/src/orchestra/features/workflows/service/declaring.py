"""Checks a workflow before anybody runs it, and keeps it as a version of its own."""

import uuid
from collections.abc import Iterator, Sequence
from graphlib import CycleError, TopologicalSorter

import msgspec

from orchestra.features import audit
from orchestra.features.tasks import NewTask, Priority, check_task, is_capability
from orchestra.features.workflows import repository
from orchestra.features.workflows.errors import BadWorkflow, VersionNotFound, WorkflowNotFound
from orchestra.features.workflows.service.references import BadReference, found_in
from orchestra.features.workflows.types import Node, Spec, Workflow
from orchestra.foundation.auth import Actor
from orchestra.foundation.database import Transaction
from orchestra.foundation.errors import FieldError, OrchestraError
from orchestra.foundation.settings import Settings

MOST_NODES = 200
LONGEST_NAME = 64
MAX_SPEC_BYTES = 1024 * 1024
_NOBODY = uuid.UUID(int=0)


async def declare(
    tx: Transaction, actor: Actor, settings: Settings, name: str, spec: Spec
) -> Workflow:
    """Keeps the workflow as the next version; the same as the newest is the newest.

    Raises BadWorkflow naming what is wrong with which node.
    """
    if not is_capability(name):
        raise BadWorkflow("name: not an id", fields=[FieldError("name", "not an id")])
    check(spec, settings)
    spec_json = msgspec.json.encode(spec, order="sorted")
    made = await repository.add_version(tx, actor.owner, name, spec_json)
    if not made.is_repeated:
        await audit.record(
            tx,
            actor,
            "workflow.declared",
            target_kind="workflow",
            target_id=name,
            details={"version": made.version},
        )
    return made


async def get(tx: Transaction, actor: Actor, name: str, version: int | None = None) -> Workflow:
    """One of the actor's workflows, the newest version unless one is named.

    Raises WorkflowNotFound or VersionNotFound.
    """
    newest = await repository.get(tx, actor.owner, name, None) if is_capability(name) else None
    if newest is None:
        raise WorkflowNotFound
    if version in (None, newest.version):
        return newest
    found = await repository.get(tx, actor.owner, name, version)
    if found is None:
        raise VersionNotFound(f"{name} has no version {version}; the newest is {newest.version}.")
    return found


def check(spec: Spec, settings: Settings) -> None:
    """Raises BadWorkflow with all that is wrong."""
    problems = list(_problems(spec, settings)) or list(_cycles(spec))
    if problems:
        said = "; ".join(f"{item.field}: {item.message}" for item in problems[:10])
        raise BadWorkflow(said, fields=problems)


def needs_of(node: Node) -> set[str]:
    """What has to be over before the node can begin; raises BadReference."""
    referred = {reference.node for reference in found_in([node.input, node.when])}
    return (set(node.needs) | referred) - {""}


def new_task(node: Node, given: object, inherited: Priority) -> NewTask:
    """The node as a task with that input."""
    return NewTask(
        input=given,
        capability=node.capability,
        priority=Priority[node.priority.upper()] if node.priority else inherited,
        max_attempts=node.max_attempts,
        queue_timeout_seconds=node.queue_timeout_seconds,
        run_timeout_seconds=node.run_timeout_seconds,
        progress_timeout_seconds=node.progress_timeout_seconds,
        delay_seconds=node.delay_seconds,
        affinity_key=node.affinity_key,
    )


def _problems(spec: Spec, settings: Settings) -> Iterator[FieldError]:
    if not 1 <= len(spec.nodes) <= MOST_NODES:
        yield FieldError("nodes", f"1 to {MOST_NODES} nodes")
    if len(msgspec.json.encode(spec)) > MAX_SPEC_BYTES:
        yield FieldError("spec", f"at most {MAX_SPEC_BYTES} bytes")
    for name, node in spec.nodes.items():
        field = f"nodes.{name}"
        if not is_capability(name) or len(name) > LONGEST_NAME:
            yield FieldError(field, "a name has 1 to 64 letters, digits, - and _")
        yield from _in_node(spec, name, node, settings)
    if spec.output is not msgspec.UNSET:
        yield from _in_references(spec, "output", [spec.output])


def _in_node(spec: Spec, name: str, node: Node, settings: Settings) -> Iterator[FieldError]:
    field = f"nodes.{name}"
    try:
        check_task(new_task(node, None, Priority.NORMAL), _NOBODY, settings)
    except OrchestraError as error:
        yield FieldError(field, error.message)
    for needed in node.needs:
        if needed not in spec.nodes:
            yield FieldError(f"{field}.needs", f"there is no node {needed!r}")
    yield from _in_references(spec, field, [node.input, node.when])


def _in_references(spec: Spec, field: str, values: Sequence[object]) -> Iterator[FieldError]:
    try:
        for reference in found_in(list(values)):
            if reference.node and reference.node not in spec.nodes:
                yield FieldError(field, f"there is no node {reference.node!r}")
    except BadReference as error:
        yield FieldError(field, str(error))


def _cycles(spec: Spec) -> Iterator[FieldError]:
    graph = {name: needs_of(node) for name, node in spec.nodes.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        path: list[str] = error.args[1]
        yield FieldError("nodes", f"each needs the next: {' → '.join(path)}")
