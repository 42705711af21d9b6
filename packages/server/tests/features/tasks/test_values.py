"""JSON survives the way through protobuf and back."""

import msgspec
import pytest
from google.protobuf.struct_pb2 import Value
from hypothesis import given
from hypothesis import strategies as st
from orchestra.features.tasks.service import sizes
from orchestra.features.tasks.service.values import TooDeep, check, from_value, size, to_value
from orchestra_protocol import agent_pb2 as pb

json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(json)
def test_what_goes_in_comes_out(value: object) -> None:
    assert from_value(to_value(value)) == value


@given(json)
def test_the_size_on_the_stream_is_known_without_writing_it(value: object) -> None:
    assert size(value) == to_value(value).ByteSize()


@pytest.mark.parametrize("length", [0, 1, 127, 128, 16_383, 16_384, 2_097_152])
def test_the_size_is_right_where_a_length_needs_another_byte(length: int) -> None:
    for value in ("x" * length, ["é" * (length // 2)], {"a": "x" * length}):
        assert size(value) == to_value(value).ByteSize()


@pytest.mark.parametrize("item", ["0", "[]", '{"":1}', "[[[7]]]"])
def test_no_value_grows_more_on_the_stream_than_is_reckoned_with(item: str) -> None:
    text = f"[{','.join([item] * 9_999)}]"
    assert size(msgspec.json.decode(text)) <= sizes.MOST_GROWTH * len(text)


@given(json)
def test_no_value_grows_more_than_that_whatever_it_is(value: object) -> None:
    assert size([value]) <= sizes.MOST_GROWTH * len(msgspec.json.encode([value]))


def test_what_an_agent_leaves_out_is_told_again_in_at_most_twice_the_bytes() -> None:
    sparse = Value()
    sparse.list_value.values.extend([Value()] * 1_000)
    again = to_value(from_value(sparse))
    assert sparse.ByteSize() < again.ByteSize() <= 2 * sparse.ByteSize()


def nested(levels: int) -> object:
    value: object = None
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


@pytest.mark.parametrize("levels", [31, 100, 100_000])
def test_what_is_nested_too_deeply_is_refused(levels: int) -> None:
    value = nested(levels)
    with pytest.raises(TooDeep, match="30 levels"):
        to_value(value)
    with pytest.raises(TooDeep, match="30 levels"):
        check(value)


@given(json)
def test_what_can_be_sent_passes_the_check(value: object) -> None:
    check(value)


def test_the_deepest_value_that_passes_can_be_read_wherever_it_stands() -> None:
    value: object = None
    for _ in range(30):
        value = {"a": value}
    check(value)
    message = pb.Command()
    to_value(value, message.spawn.children.add().input)
    assert pb.Command.FromString(message.SerializeToString()) == message


@pytest.mark.parametrize(
    "number",
    [2**53 + 1, -1234567890123456789, 10**400, -(10**5_000)],
    ids=["next", "id", "beyond a double", "beyond spelling"],
)
def test_a_whole_number_that_another_would_arrive_for_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match="send it as a string"):
        check({"a": [1, number]})


@pytest.mark.parametrize("number", [2**53, 2**60, 10**20, 1e300])
def test_a_number_that_is_a_double_arrives(number: float) -> None:
    check([number])
    assert from_value(to_value(number)) == number


def test_empty_lists_and_objects_keep_their_kind() -> None:
    assert from_value(to_value([])) == []
    assert from_value(to_value({})) == {}
