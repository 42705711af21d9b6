"""SQL of workflows: versions that never change, and which run is of which."""

import uuid
from dataclasses import replace

import msgspec

from orchestra.features.workflows.types import ListedWorkflow, Spec, Workflow
from orchestra.foundation.database import Row, Transaction

_COLUMNS = "user_id, name, version, spec, created_at"


async def add_version(tx: Transaction, user_id: uuid.UUID, name: str, spec_json: bytes) -> Workflow:
    """The next version, or the newest if it says the same. Concurrent ones come one by one."""
    await tx.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended($1, 7203381))", f"{user_id}/{name}"
    )
    newest = await get(tx, user_id, name, None)
    spec = msgspec.json.decode(spec_json, type=Spec)
    if newest is not None and newest.spec == spec:
        return replace(newest, is_repeated=True)
    row = await tx.fetch_one(
        f"""
        INSERT INTO workflows (user_id, name, version, spec, created_at)
        VALUES ($1, $2, $3, $4, now()) RETURNING {_COLUMNS}
        """,
        user_id,
        name,
        newest.version + 1 if newest else 1,
        msgspec.Raw(spec_json),
    )
    if row is None:
        raise LookupError("an insert returns its row")
    return _to_workflow(row)


async def get(
    tx: Transaction, user_id: uuid.UUID, name: str, version: int | None
) -> Workflow | None:
    """That version, or the newest."""
    row = await tx.fetch_one(
        f"""
        SELECT {_COLUMNS} FROM workflows
        WHERE user_id = $1 AND name = $2 AND ($3::integer IS NULL OR version = $3)
        ORDER BY version DESC LIMIT 1
        """,
        user_id,
        name,
        version,
    )
    return _to_workflow(row) if row else None


async def find(
    tx: Transaction, user_id: uuid.UUID, *, after: str | None, limit: int
) -> list[ListedWorkflow]:
    """The newest versions of one page of somebody's workflows by name, and one more if there is."""
    rows = await tx.fetch(
        """
        SELECT DISTINCT ON (name) user_id, name, version, created_at FROM workflows
        WHERE user_id = $1 AND ($2::text IS NULL OR name > $2)
        ORDER BY name, version DESC LIMIT $3
        """,
        user_id,
        after,
        limit + 1,
    )
    return [ListedWorkflow(**dict(row)) for row in rows]


async def add_run(tx: Transaction, task_id: uuid.UUID, workflow: Workflow) -> None:
    await tx.execute(
        """
        INSERT INTO workflow_runs (task_id, user_id, name, version) VALUES ($1, $2, $3, $4)
        """,
        task_id,
        workflow.user_id,
        workflow.name,
        workflow.version,
    )


async def workflow_of_run(tx: Transaction, task_id: uuid.UUID) -> Workflow | None:
    """The version on which a task runs, if it is a run."""
    row = await tx.fetch_one(
        f"""
        SELECT {_COLUMNS} FROM workflow_runs JOIN workflows USING (user_id, name, version)
        WHERE task_id = $1
        """,
        task_id,
    )
    return _to_workflow(row) if row else None


async def runs(
    tx: Transaction, user_id: uuid.UUID, name: str, *, before: uuid.UUID | None, limit: int
) -> list[tuple[uuid.UUID, int]]:
    """One page of a workflow's runs with their versions, newest first, and one more if there is."""
    rows = await tx.fetch(
        """
        SELECT task_id, version FROM workflow_runs
        WHERE user_id = $1 AND name = $2 AND ($3::uuid IS NULL OR task_id < $3)
        ORDER BY task_id DESC LIMIT $4
        """,
        user_id,
        name,
        before,
        limit + 1,
    )
    return [(row["task_id"], row["version"]) for row in rows]


def _to_workflow(row: Row) -> Workflow:
    return Workflow(
        user_id=row["user_id"],
        name=row["name"],
        version=row["version"],
        spec=msgspec.convert(row["spec"], Spec),
        created_at=row["created_at"],
    )
