"""What a run does next: pure, from its declaration, its input and the ends of its nodes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from orchestra.features.tasks import TaskProblem
from orchestra.features.workflows.service.declaring import needs_of
from orchestra.features.workflows.service.references import Missing, Reference, filled, resolve
from orchestra.features.workflows.types import Node, Spec


@dataclass(frozen=True, slots=True)
class NodeEnd:
    """How a node's task has ended."""

    output: Any = None
    problem: TaskProblem | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Inputs of the nodes that may begin, or have begun and are not over; or the run's end."""

    begin: dict[str, Any] = field(default_factory=dict[str, Any])
    is_over: bool = False
    output: Any = None
    problem: TaskProblem | None = None


def plan(spec: Spec, given: Any, ended: Mapping[str, NodeEnd]) -> Plan:
    """The next of a run with the input `given`, in which those nodes are over."""
    results: dict[str, Any] = {}
    for name, end in ended.items():
        if end.problem is not None and not spec.nodes[name].optional:
            said = TaskProblem(end.problem.code, f"The node {name!r} failed: {end.problem.message}")
            return Plan(is_over=True, problem=said)
        results[name] = end.output if end.problem is None else None
    try:
        begin = _begin(spec, given, results)
        if begin or len(results) < len(spec.nodes):
            return Plan(begin)
        return Plan(is_over=True, output=_output(spec, given, results))
    except Missing as error:
        return Plan(is_over=True, problem=TaskProblem("missing_value", str(error)))


def _begin(spec: Spec, given: Any, results: dict[str, Any]) -> dict[str, Any]:
    """Nodes whose needs are met; what is skipped counts as over at once, so it may free others."""
    begin: dict[str, Any] = {}
    is_settled = False
    while not is_settled:
        is_settled = True
        for name, node in spec.nodes.items():
            if name in results or name in begin or not needs_of(node) <= results.keys():
                continue
            if _is_wanted(node.when, given, results):
                begin[name] = _given_to(name, node, given, results)
            else:
                results[name] = None
                is_settled = False
    return begin


def _given_to(name: str, node: Node, given: Any, results: Mapping[str, Any]) -> Any:
    try:
        return _fill(node.input, given, results)
    except Missing as error:
        raise Missing(f"The node {name!r} has no input: {error}") from error


def _is_wanted(when: Any, given: Any, results: Mapping[str, Any]) -> bool:
    try:
        return bool(_fill(when, given, results))
    except Missing:
        return False


def _output(spec: Spec, given: Any, results: Mapping[str, Any]) -> Any:
    if spec.output is msgspec.UNSET:
        return {name: results[name] for name in spec.nodes}
    try:
        return _fill(spec.output, given, results)
    except Missing as error:
        raise Missing(f"The run has no output: {error}") from error


def _fill(value: Any, given: Any, results: Mapping[str, Any]) -> Any:
    def find(reference: Reference) -> Any:
        source = results[reference.node] if reference.node else given
        try:
            return resolve(source, reference.pointer)
        except Missing as error:
            where = f"the result of {reference.node!r}" if reference.node else "the run's input"
            raise Missing(f"there is no {reference.pointer!r} in {where}.") from error

    return filled(value, find)
