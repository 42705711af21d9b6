"""How Envoy's configuration names an extension."""

from typing import Any

Config = dict[str, Any]


def typed(name: str, kind: str, config: Config) -> Config:
    """The extension `name`, whose settings are a protobuf message of type `kind`."""
    return {"name": name, "typed_config": {"@type": f"type.googleapis.com/{kind}", **config}}
