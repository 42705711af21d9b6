"""Why an engine of this machine could not be started."""

from http import HTTPStatus

from orchestra.foundation.errors import OrchestraError


class EngineError(OrchestraError):
    """An engine could not be started."""

    code = "engine"
    status = HTTPStatus.SERVICE_UNAVAILABLE


class EngineMissing(EngineError):
    """An engine is not installed; run `make setup`, or install ai-orchestra[local]."""


class OldDatabase(EngineError):
    """The data directory was written by another major version of PostgreSQL."""


class PortTaken(EngineError):
    """A port is in use by another program."""


class DirectoryUnusable(EngineError):
    """A directory cannot be written to."""
