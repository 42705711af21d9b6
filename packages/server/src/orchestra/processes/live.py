"""What the live feed shows after a gap: the present state of what its caller may see."""

from orchestra.features import agents, tasks
from orchestra.features.agents import AgentFilter
from orchestra.features.events import LiveSnapshot
from orchestra.features.tasks import TaskFilter, TaskState
from orchestra.features.tasks.schemas import task_view
from orchestra.foundation.auth import Actor, Permission
from orchestra.foundation.database import Database

# A caller with more of either reads the lists, whose pages have an end.
MAX_AGENTS = 500
MAX_TASKS = 500
UNFINISHED = (TaskState.QUEUED, TaskState.RUNNING, TaskState.CANCELLING)


def snapshot_source(database: Database) -> LiveSnapshot:
    """`{"agents": […], "tasks": […]}`: agents, and the caller's tasks that are not over."""

    async def source(actor: Actor) -> object:
        viewer = None if actor.is_admin else actor.owner
        async with database.transaction() as tx:
            unfinished = await tasks.find_tasks(
                tx, actor, TaskFilter(states=UNFINISHED, limit=MAX_TASKS)
            )
            seen = (
                await agents.find_agents(tx, AgentFilter(viewer=viewer, limit=MAX_AGENTS))
                if actor.may(Permission.AGENTS_READ)
                else []
            )
        return {
            "agents": seen[:MAX_AGENTS],
            "tasks": [task_view(task) for task in unfinished[:MAX_TASKS]],
        }

    return source
