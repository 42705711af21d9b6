"""What can be wrong with a workflow."""

from typing import ClassVar

from orchestra.foundation.errors import InvalidInput, NotFound


class WorkflowNotFound(NotFound):
    """There is no such workflow of yours."""

    code: ClassVar[str] = "workflow_not_found"


class VersionNotFound(NotFound):
    """The workflow has no such version."""

    code: ClassVar[str] = "workflow_version_not_found"


class RunNotFound(NotFound):
    """There is no such run of this workflow."""

    code: ClassVar[str] = "run_not_found"


class BadWorkflow(InvalidInput):
    """The workflow cannot be run as it is declared."""

    code: ClassVar[str] = "bad_workflow"
