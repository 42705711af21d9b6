"""What calling models can fail with."""

from http import HTTPStatus
from typing import ClassVar

from orchestra.foundation.errors import Conflict, InvalidInput, NotFound, OrchestraError, Upstream


class NameTaken(Conflict):
    """There is a provider of this name already."""

    code = "name_taken"


class LocalProviderFixed(Conflict):
    """The local model is set up by this instance; it can only be switched on and off."""

    code = "local_provider"


class ModelNotFound(NotFound):
    """There is no such model here; list the models to see their names."""

    code = "model_not_found"


class NoDefaultModel(NotFound):
    """No default model is set; an administrator can choose one."""

    code = "no_default_model"


class UnsupportedParameter(InvalidInput):
    """The provider cannot do this."""

    code = "unsupported_parameter"

    def __init__(self, message: str, *, parameter: str) -> None:
        super().__init__(message)
        self.parameter = parameter


class KeyRefused(Upstream):
    """The provider refused the key; an administrator can set a new one."""

    code = "provider_refused_key"


class ProviderBusy(OrchestraError):
    """The provider takes no more requests for now."""

    code: ClassVar[str] = "rate_limit_exceeded"
    status: ClassVar[HTTPStatus] = HTTPStatus.TOO_MANY_REQUESTS


class ProviderFailed(Upstream):
    """The provider failed."""

    code = "provider_failed"


class StreamBroken(Upstream):
    """The provider's answer broke off before its end."""

    code = "stream_broken"


class RequestRefused(OrchestraError):
    """The provider refused the request."""

    code: ClassVar[str] = "provider_refused_request"
    status: ClassVar[HTTPStatus] = HTTPStatus.BAD_REQUEST

    def __init__(
        self, message: str, *, kind: str | None, code: str | None, parameter: str | None
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.provider_code = code
        self.parameter = parameter


class BadKeyEncryptionKey(OrchestraError):
    """The key-encryption key does not fit this database; restore keys/kek or the setting."""

    code = "bad_key_encryption_key"


class UnreadableKey(Upstream):
    """The stored key of this provider cannot be decrypted; set it again."""

    code = "unreadable_key"
