"""What callers send and get in JSON."""

from typing import Annotated

import msgspec

from orchestra.foundation.web import Body, View


class Subscribe(Body):
    """`eventType` is a type such as `agent.status`, or a prefix such as `agent.*`."""

    eventType: Annotated[  # noqa: N815 - the specification's spelling
        str, msgspec.Meta(min_length=1, max_length=100, pattern=r"^[a-z][a-z0-9_.]*(\*)?$")
    ]
    feedId: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | None = None  # noqa: N815


class Subscribed(View):
    subscribed: bool
    event_types: list[str]
