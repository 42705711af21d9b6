"""The REST doors of tasks, by what they are about."""

from litestar.types import ControllerRouterHandler

from orchestra.features.tasks.rest import dead_letters, tasks

routes: list[ControllerRouterHandler] = [*tasks.routes, *dead_letters.routes]
