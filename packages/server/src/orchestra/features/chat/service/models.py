"""Which model answers."""

from orchestra.features.chat.errors import UnknownModel
from orchestra.features.providers import Providers
from orchestra.foundation.errors import FieldError, NotFound

DEFAULT = "default"


async def resolve(providers: Providers, model: str | None) -> str:
    """The full name of a model, or of the default one; raises UnknownModel if there is none."""
    catalog = await providers.catalog.current()
    try:
        choice = catalog.choose(model or DEFAULT)
    except NotFound as error:
        raise UnknownModel(error.message, fields=[FieldError("model", "not known")]) from error
    return f"{choice.target.name}/{choice.model}"
