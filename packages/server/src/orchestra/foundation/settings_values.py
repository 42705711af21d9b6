"""Values of settings as the environment and TOML spell them."""

from typing import Any


def to_type(kind: type, value: Any) -> Any:
    """The value as this type; raises KeyError, TypeError or ValueError."""
    if kind is bool and isinstance(value, str):
        return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[
            value.lower()
        ]
    if kind is tuple:
        parts: list[str] = (
            value.split(",") if isinstance(value, str) else [str(part) for part in value]
        )
        return tuple(part.strip() for part in parts if part.strip())
    if isinstance(value, bool) and kind is not bool:
        raise TypeError(value)
    return kind(value)
