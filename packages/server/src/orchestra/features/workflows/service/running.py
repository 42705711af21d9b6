"""Starts runs, and takes them on from node to node as the tasks of their nodes end."""

import uuid
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import msgspec
import structlog
from msgspec import UNSET

from orchestra.features import audit
from orchestra.features.events import Outbox
from orchestra.features.tasks import (
    Again,
    NewChild,
    NewTask,
    Room,
    Step,
    Task,
    TaskId,
    TaskProblem,
    conclude_task,
    host_task,
    host_task_again,
    is_at_work,
    outcomes_of_children,
    snapshots,
    start_children,
    too_large_result,
    visible_task,
)
from orchestra.features.workflows import repository
from orchestra.features.workflows.errors import BadWorkflow, RunNotFound
from orchestra.features.workflows.service.declaring import get, new_task
from orchestra.features.workflows.service.planning import NodeEnd, Plan, plan
from orchestra.features.workflows.types import Spec, Workflow, WorkflowRun
from orchestra.foundation.auth import SYSTEM, Actor
from orchestra.foundation.database import AWAY, NOT_NOW, Transaction
from orchestra.foundation.errors import OrchestraError, Unavailable
from orchestra.foundation.messaging import Bus
from orchestra.foundation.settings import Settings

log = structlog.get_logger(__name__)

CANCELLED = "cancelled"
# What a run can have met that is wrong with it must not be met again and again.
UNKNOWN = TaskProblem("workflow_error", "It could not be taken on; the log of the worker says why.")


class Runner:
    """What runs need of the process around them.

    A node whose queue is full begins when there is room. A run none of whose nodes could begin is
    not begun, as a task is not submitted then.
    """

    def __init__(self, outbox: Outbox, bus: Bus, settings: Settings, room: Room) -> None:
        self._outbox, self._bus, self._settings, self._room = outbox, bus, settings, room

    async def start(
        self, tx: Transaction, actor: Actor, name: str, version: int | None, new: NewTask
    ) -> tuple[Task, Workflow]:
        """Starts a run of the newest version, or of that one; the same key again is the same run.

        `new` has the run's input, priority and idempotency key. Raises WorkflowNotFound,
        VersionNotFound, QueueFull, ThisQueueFull and what is wrong with a task.
        """
        workflow = await get(tx, actor, name, version)
        task, is_new = await host_task(tx, self._outbox, self._settings, actor, new)
        if not is_new:
            begun = await repository.workflow_of_run(tx, task.id)
            if begun is None:
                raise BadWorkflow("This idempotency key was used for a task.")
            if version is not None and begun.version != version:
                raise BadWorkflow(f"This idempotency key was used for version {begun.version}.")
            workflow = begun
        else:
            await self._first(tx, task, workflow)
            await audit.record(
                tx,
                actor,
                "workflow.started",
                target_kind="workflow",
                target_id=name,
                details={"version": workflow.version, "task_id": task.id},
            )
        return await visible_task(tx, actor, task.id), workflow

    async def replay(
        self, tx: Transaction, actor: Actor, run_id: uuid.UUID, *, name: str
    ) -> tuple[Again, Workflow]:
        """Takes a run that has failed or was cancelled on, as another run on the same version.

        What its nodes have done is kept; those that failed or were stopped begin again. Asked
        twice, it is the same run. Raises RunNotFound, TaskNotFound, or NotAllowed for a run that is
        not over or has succeeded.
        """
        workflow = await repository.workflow_of_run(tx, run_id)
        if workflow is None or workflow.name != name or workflow.user_id != actor.owner:
            raise RunNotFound
        return await self._again(tx, actor, run_id, workflow), workflow

    async def rerun(
        self, tx: Transaction, actor: Actor, run_id: TaskId, edited: object
    ) -> Task | None:
        """The same for a dead letter; with another input nothing is kept."""
        workflow = await repository.workflow_of_run(tx, run_id)
        if workflow is None:
            return None
        if edited is UNSET:
            return (await self._again(tx, actor, run_id, workflow)).task
        run = await visible_task(tx, actor, run_id)
        new = NewTask(input=edited, capability=workflow.name, priority=run.priority)
        owner = replace(actor, user_id=workflow.user_id)
        task, _ = await self.start(tx, owner, workflow.name, workflow.version, new)
        return task

    async def _again(
        self, tx: Transaction, actor: Actor, run_id: uuid.UUID, workflow: Workflow
    ) -> Again:
        parts = self._outbox, self._settings
        keep = partial(_is_kept, workflow.spec)
        again = await host_task_again(tx, *parts, actor, run_id, keep=keep)
        if not again.is_new:
            return again
        task = again.task
        await self._first(tx, task, workflow)
        await audit.record(
            tx,
            actor,
            "workflow.replayed",
            target_kind="workflow",
            target_id=workflow.name,
            details={"run": run_id, "task_id": task.id, "kept": again.kept},
        )
        return replace(again, task=await visible_task(tx, SYSTEM, task.id))

    async def on_task_finished(self, tx: Transaction, task: Task) -> None:
        """Takes the run on whose node has ended, if it is one; doing it again changes nothing."""
        if task.parent_id is not None:
            await self.on_room(tx, task.parent_id)

    async def on_room(self, tx: Transaction, run_id: TaskId) -> None:
        """Begins what now can begin of a run, if it is one; doing it again changes nothing."""
        workflow = await repository.workflow_of_run(tx, run_id)
        if workflow is None or not await is_at_work(tx, run_id):
            return
        run = await visible_task(tx, SYSTEM, run_id)
        await self._go_on(tx, run, workflow.spec)

    async def _first(self, tx: Transaction, task: Task, workflow: Workflow) -> None:
        await repository.add_run(tx, task.id, workflow)
        if refusal := await self._go_on(tx, task, workflow.spec):
            raise refusal

    async def _go_on(self, tx: Transaction, run: Task, spec: Spec) -> OrchestraError | None:
        """Returns why if nothing that could be next has room.

        A run that cannot be taken on ends, and says why: it would be tried for ever.
        """
        ended, refusal = _ends(spec, await outcomes_of_children(tx, run.id)), None
        try:
            found = plan(spec, run.input, ended)
            if found.begin:
                refusal = await self._begin(tx, run, spec, found)
        except (Unavailable, *AWAY, *NOT_NOW):
            raise
        except OrchestraError as error:
            found = Plan(is_over=True, problem=TaskProblem(error.code, error.message))
        except Exception:
            log.exception("a run cannot be taken on", run=str(run.id))
            found = Plan(is_over=True, problem=UNKNOWN)
        if found.is_over:
            await conclude_task(tx, self._outbox, self._bus, run.id, self._end(found))
        return refusal

    async def _begin(
        self, tx: Transaction, run: Task, spec: Spec, found: Plan
    ) -> OrchestraError | None:
        new = [
            NewChild(name=name, task=new_task(spec.nodes[name], given, run.priority))
            for name, given in found.begin.items()
        ]
        async with tx.savepoint():
            parts = self._bus, self._settings, self._room
            return await start_children(tx, *parts, run.id, new)

    def _end(self, found: Plan) -> bytes | TaskProblem:
        if found.problem is not None:
            return found.problem
        output = msgspec.json.encode(found.output)
        if said := too_large_result(found.output, len(output), self._settings):
            return TaskProblem("result_too_large", f"The run's output {said}")
        return output


async def find_runs(
    tx: Transaction, actor: Actor, name: str, *, before: uuid.UUID | None, limit: int
) -> list[WorkflowRun]:
    """One page of the runs of one of the actor's workflows, and one more; raises NotFound."""
    await get(tx, actor, name)
    found = await repository.runs(tx, actor.owner, name, before=before, limit=limit)
    known = {item.task.id: item.task for item in await snapshots(tx, [run for run, _ in found])}
    return [
        WorkflowRun(
            task_id=run_id,
            version=version,
            state=known[TaskId(run_id)].state,
            created_at=known[TaskId(run_id)].created_at,
            finished_at=known[TaskId(run_id)].finished_at,
        )
        for run_id, version in found
        if run_id in known
    ]


def _ends(spec: Spec, steps: Mapping[str, Step]) -> dict[str, NodeEnd]:
    return {
        name: NodeEnd(step.output, step.error) for name, step in steps.items() if name in spec.nodes
    }


def _is_kept(spec: Spec, name: str, step: Step) -> bool:
    """What has failed for good is done again, unless others may have gone on without it."""
    if name not in spec.nodes:
        return False
    return step.error is None or (spec.nodes[name].optional and step.error.code != CANCELLED)
