"""JSON survives the way through protobuf and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orchestra.features.tasks.service.values import TooDeep, from_value, to_value

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


def test_what_is_nested_too_deeply_is_refused() -> None:
    value: object = None
    for _ in range(100):
        value = [value]
    with pytest.raises(TooDeep):
        to_value(value)


def test_empty_lists_and_objects_keep_their_kind() -> None:
    assert from_value(to_value([])) == []
    assert from_value(to_value({})) == {}
