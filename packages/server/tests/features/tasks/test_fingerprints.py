"""Both sides make the same hash of what was asked, each by itself."""

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orchestra.features.tasks.service.orchestration import fingerprints
from orchestra.features.tasks.service.values import from_value
from orchestra.features.tasks.types import ApprovalKind
from orchestra_protocol import agent_pb2 as pb
from orchestra_sdk import _fingerprints, _values

json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.floats(-0.001, 0.001)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def both(content: Any, question: str = "?", choices: tuple[str, ...] = ()) -> set[str]:
    """The hashes of a question: as it was meant, as it arrives, and as the SDK has it."""
    kind = ApprovalKind.ASK
    ask = pb.Ask(kind=pb.ASK_KIND_ASK, question=question, choices=choices)
    ask.data.CopyFrom(_values.to_value(content))
    arrived = from_value(pb.Ask.FromString(ask.SerializeToString()).data)
    return {
        fingerprints.of_question(kind, question, content, choices),
        fingerprints.of_question(kind, question, arrived, choices),
        _fingerprints.of_question(ask),
    }


@given(json, st.text(), st.lists(st.text(), max_size=3))
def test_a_question_has_one_hash_on_both_sides(
    content: Any, question: str, choices: list[str]
) -> None:
    assert len(both(content, question, tuple(choices))) == 1


@pytest.mark.parametrize(
    ("content", "spelled"),
    [
        ({"b": 1.0, "a": -0.0}, '{"a":0,"b":1}'),
        ([1e22, 2**53, 1.5], "[10000000000000000000000,9007199254740992,1.5]"),
        ([1e-4, 1e-5, -1.25e-5, 1e-6, 2.5e-300], "[0.0001,0.00001,-0.0000125,1e-6,2.5e-300]"),
        (["é\n\x01/", True, None], '["é\\n\\u0001/",true,null]'),
    ],
)
def test_numbers_and_texts_are_spelled_in_one_way(content: Any, spelled: str) -> None:
    text = f'{{"choices":[],"data":{spelled},"kind":"ask","question":"?"}}'
    assert both(content) == {hashlib.sha256(text.encode()).hexdigest()}


@given(json, st.booleans())
def test_a_childs_work_has_one_hash_on_both_sides(content: Any, is_addressed: bool) -> None:
    agent_id = "0194e9d4-0000-7000-8000-00000000000A" if is_addressed else ""
    child = pb.Child(capability="c", agent_id=agent_id, input=_values.to_value(content))
    work = fingerprints.of_work(agent_id.lower() or "c", "c", from_value(child.input))
    assert _fingerprints.of_child(child) == work.hex()
