"""What is said of a body that cannot be read."""

import msgspec
import pytest
from orchestra.foundation.web_bodies import fault_of


@pytest.mark.parametrize(
    "body",
    [
        rb'{"input": "\ud800"}',
        rb'{"input": "\uD800", "capability": "echo"}',
        rb'{"input": "\udc00"}',
        rb'{"input": "\ud83d\ude00 \ud83d"}',
        rb'{"input": "\\\ud800"}',
    ],
)
def test_half_of_a_surrogate_pair_is_named(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError) as caught:
        msgspec.json.decode(body)
    assert "half of a surrogate pair, \\u" in fault_of(body, caught.value)


@pytest.mark.parametrize(
    "body", [rb'{"input": "\\ud800"', rb'{"input": "\ud83d\ude00"', b'{"input": 1', b"x"]
)
def test_what_is_no_json_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError) as caught:
        msgspec.json.decode(body)
    assert fault_of(body, caught.value).startswith("The body is not JSON: ")
