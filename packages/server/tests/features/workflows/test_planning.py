"""What a declared workflow does next, and which declarations are refused; without any engine."""

from typing import Any

import msgspec
import pytest
from orchestra.features.tasks import TaskProblem
from orchestra.features.workflows.errors import BadWorkflow
from orchestra.features.workflows.service.declaring import check
from orchestra.features.workflows.service.planning import NodeEnd, plan
from orchestra.features.workflows.types import Spec
from orchestra.foundation.settings import Settings


def spec(output: Any = msgspec.UNSET, **nodes: Any) -> Spec:
    declared: dict[str, Any] = {
        name: {"capability": "work", **(node or {})} for name, node in nodes.items()
    }
    more = {} if output is msgspec.UNSET else {"output": output}
    return msgspec.convert({"nodes": declared, **more}, Spec)


def done(**outputs: Any) -> dict[str, NodeEnd]:
    return {name: NodeEnd(output) for name, output in outputs.items()}


DIAMOND = spec(
    top={"input": {"url": {"$input": "/url"}}},
    left={"input": {"$node": "top", "at": "/words/0"}},
    right={"needs": ["top"], "input": "fixed"},
    bottom={"input": [{"$node": "left"}, {"$node": "right"}]},
    output={"answer": {"$node": "bottom"}},
)


def test_nodes_begin_when_all_that_they_need_is_over() -> None:
    given = {"url": "u"}
    assert plan(DIAMOND, given, {}).begin == {"top": {"url": "u"}}
    ended = done(top={"words": ["a"]})
    assert plan(DIAMOND, given, ended).begin == {"left": "a", "right": "fixed"}
    ended |= done(right=2)
    assert plan(DIAMOND, given, ended).begin == {"left": "a"}
    ended |= done(left=1)
    assert plan(DIAMOND, given, ended).begin == {"bottom": [1, 2]}
    ended |= done(bottom="end")
    over = plan(DIAMOND, given, ended)
    assert (over.is_over, over.output, over.problem) == (True, {"answer": "end"}, None)


def test_without_an_output_the_result_has_all_nodes() -> None:
    assert plan(spec(a=None, b=None), None, done(a=1, b=2)).output == {"a": 1, "b": 2}


def test_a_failed_node_ends_the_run_unless_it_is_optional() -> None:
    failed = {"a": NodeEnd(problem=TaskProblem("broken", "no"))}
    over = plan(spec(a=None, b=None), None, failed)
    assert over.is_over
    assert over.problem == TaskProblem("broken", "The node 'a' failed: no")
    optional = spec(a={"optional": True}, b={"input": {"$node": "a"}})
    assert plan(optional, None, failed).begin == {"b": None}


def test_a_node_whose_condition_does_not_hold_is_skipped_and_frees_the_next() -> None:
    branching = spec(
        check=None,
        yes={"when": {"$node": "check", "at": "/ok"}},
        after={"needs": ["yes"]},
        maybe={"when": {"$input": "/absent"}},
    )
    assert plan(branching, {}, {}).begin == {"check": None}
    assert plan(branching, {}, done(check={"ok": False})).begin == {"after": None}
    assert plan(branching, {}, done(check={"ok": True})).begin == {"yes": None}
    over = plan(branching, {}, done(check={}, after=1))
    assert over.output == {"check": {}, "yes": None, "after": 1, "maybe": None}


def test_a_value_that_is_not_there_ends_the_run_with_its_place() -> None:
    over = plan(DIAMOND, {}, {})
    said = "The node 'top' has no input: there is no '/url' in the run's input."
    assert over.problem == TaskProblem("missing_value", said)
    over = plan(DIAMOND, {"url": 1}, done(top={"words": []}))
    assert over.problem is not None
    said = "The node 'left' has no input: there is no '/words/0' in the result of 'top'."
    assert over.problem.message == said
    over = plan(spec(a=None, output={"$node": "a", "at": "/x"}), None, done(a={}))
    assert over.problem is not None
    assert over.problem.message == "The run has no output: there is no '/x' in the result of 'a'."


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (spec(), "1 to 200 nodes"),
        (spec(**{"no spaces": None}), "letters, digits"),
        (spec(a={"needs": ["b"]}), "there is no node 'b'"),
        (spec(a={"input": {"$node": "b"}}), "there is no node 'b'"),
        (spec(a={"input": {"$node": 1}}), "names a node"),
        (spec(a={"input": {"$input": "no/slash"}}), "JSON pointer"),
        (spec(a={"input": {"$input": "/a", "more": 1}}), "no 'more'"),
        (spec(a={"capability": "no such!"}), "capability"),
        (spec(a={"max_attempts": 0}), "max_attempts"),
        (spec(output={"$node": "b"}, a=None), "there is no node 'b'"),
        (spec(a={"needs": ["b"]}, b={"input": {"$node": "a"}}), "each needs the next"),
        (spec(a={"needs": ["a"]}), "each needs the next"),
        (spec(**{f"n{number}": None for number in range(201)}), "1 to 200 nodes"),
    ],
)
def test_a_declaration_that_cannot_run_is_refused_with_its_place(wrong: Spec, said: str) -> None:
    with pytest.raises(BadWorkflow) as refused:
        check(wrong, Settings())
    assert said in refused.value.message
    assert refused.value.fields


@pytest.mark.parametrize("place", ["01", "-1", "1.5", "9" * 5_000])
def test_what_is_no_place_in_a_list_finds_nothing(place: str) -> None:
    over = plan(spec(a={"input": {"$input": f"/{place}"}}), ["x", "y"], {})
    assert over.problem is not None
    assert over.problem.code == "missing_value"
