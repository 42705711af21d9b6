"""The REST doors of tasks, by what they are about."""

from litestar.types import ControllerRouterHandler

from orchestra.features.tasks.rest import (
    approvals,
    dead_letters,
    line,
    orchestration,
    queues,
    tasks,
)

routes: list[ControllerRouterHandler] = [
    *approvals.routes,
    *dead_letters.routes,
    *line.routes,
    *orchestration.routes,
    *queues.routes,
    *tasks.routes,
]
