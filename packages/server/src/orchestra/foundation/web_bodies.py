"""Bodies that are no JSON: what is wrong with one, in words for whoever has written it."""

import re
from typing import Any

from litestar import Request
from litestar.exceptions import ClientException, SerializationException

# A pair of surrogates as JSON escapes it, half of one (the group), any other escape.
_ESCAPES = re.compile(rb"\\u[dD][89abAB]..\\u[dD][c-fC-F]..|(\\u[dD][89a-fA-F]..)|\\.", re.DOTALL)


class JsonRequest(Request[Any, Any, Any]):
    """A request whose body is JSON, if it is anything."""

    async def json(self) -> Any:
        """The body's value; raises ClientException, which is answered with 400."""
        try:
            return await super().json()
        except (SerializationException, UnicodeDecodeError) as error:
            raise ClientException(fault_of(await self.body(), error)) from error


def fault_of(body: bytes, error: Exception) -> str:
    """Why this body cannot be read."""
    half = next((found[1] for found in _ESCAPES.finditer(body) if found[1]), None)
    if half is not None:
        said = half.decode("ascii", "replace")
        return f"The body has half of a surrogate pair, {said}, which is no character."
    if isinstance(error, UnicodeDecodeError):
        return f"The body is not UTF-8 (byte {error.start})."
    return f"The body is not JSON: {error}."
