"""A handler and what its signature says: whether it waits, the types of input and output."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from orchestra_sdk import _conversion, _schema


@dataclass(frozen=True)
class Capability:
    """A function that runs tasks of one name."""

    name: str
    handler: Callable[..., Any]
    description: str
    is_async: bool
    takes_input: bool
    input_type: Any
    output_type: Any
    probe: Callable[[], Any] | None = None
    probe_seconds: float = 0.0  # how often; 0: never

    @property
    def input_schema(self) -> str:
        """JSON Schema of the input, empty when untyped."""
        return _schema.text(self.input_type)

    @property
    def output_schema(self) -> str:
        """JSON Schema of the output, empty when untyped."""
        return _schema.text(self.output_type)

    def arguments(self, context: Any, given: Any) -> tuple[Any, ...]:
        """Return the handler's arguments; raises `InvalidInput` when `given` does not fit."""
        if not self.takes_input:
            return (context,)
        return context, _conversion.convert(given, self.input_type)


def describe(name: str, handler: Callable[..., Any], description: str) -> Capability:
    """Read the signature of `handler`; raises TypeError for one that cannot be called."""
    parameters = [
        parameter
        for parameter in inspect.signature(handler).parameters.values()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    if not 1 <= len(parameters) <= 2:
        raise TypeError(f"the handler of {name!r} must take (ctx) or (ctx, input)")
    takes_input = len(parameters) == 2
    given = parameters[1].annotation if takes_input else inspect.Parameter.empty
    returned = inspect.signature(handler).return_annotation
    return Capability(
        name=name,
        handler=handler,
        description=description or (inspect.getdoc(handler) or "").partition("\n\n")[0],
        is_async=inspect.iscoroutinefunction(handler),
        takes_input=takes_input,
        input_type=_resolve(handler, given),
        output_type=_resolve(handler, returned),
    )


def _resolve(handler: Callable[..., Any], annotation: Any) -> Any:
    """Return the annotation as a type; one that was postponed is evaluated where it was written."""
    if annotation is inspect.Parameter.empty:
        return Any
    if not isinstance(annotation, str):
        return annotation
    function = inspect.unwrap(handler)
    is_function = inspect.isfunction(function)
    seen = dict(inspect.getclosurevars(function).nonlocals) if is_function else None
    try:
        # The author's own source text, evaluated in the author's own module.
        return eval(annotation, getattr(function, "__globals__", {}), seen)  # noqa: S307
    except NameError as error:
        raise TypeError(
            f"the annotation {annotation!r} of {handler.__qualname__} cannot be resolved: {error}"
        ) from error
