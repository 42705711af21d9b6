"""SQL of agents as they are: what they say of themselves, and how they were last seen."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from orchestra.features.agents.types import (
    Agent,
    AgentId,
    AgentStatus,
    Capability,
    Drain,
    Health,
    LiveState,
    Performance,
    Quarantine,
    Registration,
    Resources,
)
from orchestra.foundation.database import Database, Row, Transaction, without_nul

MAX_INSTANCE = 100
# Its row says `offline`, which is all that who gives it work has to know.
_STATUS = f"""
    CASE WHEN status = 'offline' AND connected_at IS NULL
        THEN '{AgentStatus.NEVER_CONNECTED}' ELSE status END"""
_COLUMNS = f"""
    id, name, owner_id, shared, capabilities, capability_details, {_STATUS} AS status, reason,
    version, slots, slots_in_use, labels, resources, restorable, tasks_completed, tasks_failed,
    busy_seconds, round_trip_seconds, connected_at, last_heartbeat_at, control_plane_id,
    drained_at, drained_by, drain_reason, quarantined_at, quarantine_until, quarantined_by,
    quarantine_reason, quarantine_round, health"""
_UPSERT = f"""
INSERT INTO agents (id, name, owner_id, shared, capabilities, capability_details, labels, version,
    slots, restorable, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, now(), now())
ON CONFLICT (owner_id, name) DO UPDATE SET
    shared = coalesce(agents.shared_by_decision, excluded.shared),
    capabilities = excluded.capabilities, capability_details = excluded.capability_details,
    labels = excluded.labels,
    version = excluded.version, slots = excluded.slots, restorable = excluded.restorable,
    -- Another version is another program: what the former one has failed at does not count.
    blamed = CASE WHEN agents.version = excluded.version THEN agents.blamed ELSE '{{}}' END,
    quarantined_at = CASE
        WHEN agents.version = excluded.version OR agents.quarantine_until IS NULL
        THEN agents.quarantined_at END,
    updated_at = now()
RETURNING {_COLUMNS}
"""
_GET = f"SELECT {_COLUMNS} FROM agents WHERE id = $1"
_GET_MANY = f"SELECT {_COLUMNS} FROM agents WHERE id = ANY($1::uuid[])"
_FIND = f"""
SELECT {_COLUMNS} FROM agents
WHERE ($1::uuid IS NULL OR owner_id = $1 OR shared)
    AND ($2::text[] IS NULL OR {_STATUS} = ANY($2))
    AND ($3::text[] IS NULL OR capabilities && $3)
    AND ($4::text IS NULL OR (name, id) > ($4, $5::uuid))
    AND ($7::text IS NULL OR version = $7) AND ($8::jsonb IS NULL OR labels @> $8)
    AND ($9::text IS NULL OR name = $9)
ORDER BY name, id LIMIT $6
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentFilter:
    """Which agents to list; None does not ask. `viewer` sees its own and the shared ones."""

    viewer: uuid.UUID | None
    statuses: Sequence[AgentStatus] | None = None
    capabilities: Sequence[str] | None = None
    name: str | None = None
    version: str | None = None
    labels: Mapping[str, str] | None = None  # all of them
    after: tuple[str, uuid.UUID] | None = None
    limit: int = 50


async def upsert(
    database: Database, new_id: uuid.UUID, owner_id: uuid.UUID, *, shared: bool, said: Registration
) -> Agent:
    """Writes what an agent says of itself; owner and name decide which agent it is.

    One statement, which is a transaction: thousands of agents may come at once.
    """
    rows = await database.fetch(
        _UPSERT,
        new_id,
        said.name,
        owner_id,
        shared,
        said.capabilities,
        msgspec.to_builtins(said.capability_details),
        said.labels,
        said.version,
        said.slots,
        said.restorable,
    )
    return _to_agent(rows[0])


async def insert_expected(
    tx: Transaction, new_id: uuid.UUID, owner_id: uuid.UUID, *, name: str, reason: str
) -> None:
    """Writes down an agent that has not come yet. One that has been here stays as it is."""
    await tx.execute(
        """
        INSERT INTO agents (id, owner_id, name, shared, slots, reason, created_at, updated_at)
        VALUES ($1, $2, $3, false, 0, $4, now(), now())
        ON CONFLICT (owner_id, name) DO UPDATE SET reason = excluded.reason, updated_at = now()
        WHERE agents.connected_at IS NULL
        """,
        new_id,
        owner_id,
        name,
        reason,
    )


async def count_of(
    source: Database | Transaction, owner_id: uuid.UUID, name: str
) -> tuple[int, bool]:
    """How many agents an owner has, and whether one of them has this name."""
    (row,) = await source.fetch(
        """
        SELECT count(*) AS count, coalesce(bool_or(name = $2), false) AS is_known
        FROM agents WHERE owner_id = $1
        """,
        owner_id,
        name,
    )
    return row["count"], row["is_known"]


async def get(tx: Transaction, agent_id: uuid.UUID) -> Agent | None:
    row = await tx.fetch_one(_GET, agent_id)
    return _to_agent(row) if row else None


async def get_many(database: Database, ids: Sequence[uuid.UUID]) -> dict[AgentId, Agent]:
    """Those that there are."""
    rows = await database.fetch(_GET_MANY, list(ids))
    return {AgentId(row["id"]): _to_agent(row) for row in rows}


async def find(tx: Transaction, wanted: AgentFilter) -> list[Agent]:
    """One page by name, and a row more if there is one."""
    rows = await tx.fetch(
        _FIND,
        wanted.viewer,
        None if wanted.statuses is None else list(wanted.statuses),
        None if wanted.capabilities is None else list(wanted.capabilities),
        wanted.after[0] if wanted.after else None,
        wanted.after[1] if wanted.after else None,
        wanted.limit + 1,
        None if wanted.version is None else without_nul(wanted.version),
        dict(wanted.labels) if wanted.labels else None,
        None if wanted.name is None else without_nul(wanted.name),
    )
    return [_to_agent(row) for row in rows]


async def names(tx: Transaction, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, str]:
    rows = await tx.fetch("SELECT id, name FROM agents WHERE id = ANY($1::uuid[])", list(ids))
    return {row["id"]: row["name"] for row in rows}


async def forget(tx: Transaction, agent_id: uuid.UUID) -> bool:
    """Deletes an agent that is offline, with its keys; False if it is not offline or not there."""
    row = await tx.fetch_one(
        "DELETE FROM agents WHERE id = $1 AND status = 'offline' RETURNING owner_id, name", agent_id
    )
    if row is None:
        return False
    await tx.execute(
        """
        UPDATE agent_keys SET revoked_at = now()
        WHERE owner_id = $1 AND name = $2 AND revoked_at IS NULL
        """,
        row["owner_id"],
        row["name"],
    )
    return True


async def connected(
    tx: Transaction, instances: Mapping[uuid.UUID, str], *, control_plane_id: str
) -> None:
    """Notes that agents are at this control plane now, each with the id of its process."""
    await tx.execute(
        """
        WITH locked AS MATERIALIZED (
            SELECT id FROM agents WHERE id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE
        )
        UPDATE agents SET status = 'online', reason = '', control_plane_id = $3,
            instance_id = given.instance, connected_at = now(), last_heartbeat_at = now(),
            updated_at = now()
        FROM locked JOIN unnest($1::uuid[], $2::text[]) AS given (id, instance) USING (id)
        WHERE agents.id = given.id
        """,
        list(instances),
        [without_nul(instance)[:MAX_INSTANCE] for instance in instances.values()],
        control_plane_id,
    )


async def save_states(
    tx: Transaction, states: Sequence[LiveState], *, control_plane_id: str
) -> set[AgentId]:
    """Writes what this control plane knows of its agents; returns those that are another's now.

    Of these only the counters are written.
    """
    rows = await tx.fetch(
        """
        WITH locked AS MATERIALIZED (
            SELECT id FROM agents WHERE id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE
        )
        UPDATE agents SET
            status = CASE WHEN ours THEN given.status ELSE agents.status END,
            reason = CASE WHEN ours THEN given.reason ELSE agents.reason END,
            slots_in_use = CASE WHEN ours THEN given.slots_in_use ELSE agents.slots_in_use END,
            resources = coalesce(given.resources, agents.resources),
            latency_seconds = CASE WHEN ours THEN given.latency ELSE agents.latency_seconds END,
            round_trip_seconds = given.round_trip,
            last_heartbeat_at = coalesce(given.beat, agents.last_heartbeat_at),
            tasks_completed = tasks_completed + given.completed,
            tasks_failed = tasks_failed + given.failed,
            busy_seconds = busy_seconds + given.busy, updated_at = now(),
            health = coalesce(given.health, agents.health)
        FROM (
            SELECT given.*, owner.control_plane_id = $10 AS ours
            FROM locked JOIN unnest($1::uuid[], $2::text[], $3::text[], $4::integer[], $5::jsonb[],
                $6::float8[], $7::timestamptz[], $8::bigint[], $9::bigint[], $11::float8[],
                $12::jsonb[], $13::float8[]
            ) AS given (id, status, reason, slots_in_use, resources, round_trip, beat, completed,
                failed, busy, health, latency) USING (id)
            JOIN agents AS owner USING (id)
        ) AS given
        WHERE agents.id = given.id RETURNING agents.id, ours
        """,
        [state.id for state in states],
        [state.status for state in states],
        [state.reason for state in states],
        [state.slots_in_use for state in states],
        [state.resources for state in states],
        [state.round_trip_seconds for state in states],
        [state.last_heartbeat for state in states],
        [state.completed for state in states],
        [state.failed for state in states],
        control_plane_id,
        [state.busy_seconds for state in states],
        [state.health for state in states],
        [state.latency_seconds for state in states],
    )
    return {AgentId(row["id"]) for row in rows if not row["ours"]}


async def abandon_silent(tx: Transaction, *, after_seconds: float, limit: int) -> list[AgentId]:
    """Marks agents offline whose control plane was not seen for so long; returns them."""
    rows = await tx.fetch(
        """
        UPDATE agents SET status = 'offline', reason = 'its control plane has gone',
            slots_in_use = 0, updated_at = now()
        WHERE id IN (
            SELECT id FROM agents
            WHERE status <> 'offline' AND updated_at < now() - make_interval(secs => $1)
                AND NOT EXISTS (
                    SELECT FROM control_planes WHERE control_planes.id = control_plane_id
                        AND seen_at >= now() - make_interval(secs => $1)
                )
            ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED
        ) RETURNING id
        """,
        after_seconds,
        limit,
    )
    return [AgentId(row["id"]) for row in rows]


async def seen(tx: Transaction, control_plane_id: str) -> None:
    """The control plane lives; forgets those that have been dead for a day."""
    await tx.execute(
        """
        INSERT INTO control_planes (id, seen_at) VALUES ($1, now())
        ON CONFLICT (id) DO UPDATE SET seen_at = now()
        """,
        control_plane_id,
    )
    await tx.execute("DELETE FROM control_planes WHERE seen_at < now() - interval '1 day'")


async def count_by_status(tx: Transaction) -> dict[AgentStatus, int]:
    rows = await tx.fetch(f"SELECT {_STATUS} AS status, count(*) AS count FROM agents GROUP BY 1")
    return {AgentStatus(row["status"]): row["count"] for row in rows}


def _to_agent(row: Row) -> Agent:
    return Agent(
        id=AgentId(row["id"]),
        name=row["name"],
        owner_id=row["owner_id"],
        shared=row["shared"],
        capabilities=row["capabilities"],
        capability_details=[_to_capability(value) for value in row["capability_details"]],
        status=AgentStatus(row["status"]),
        reason=row["reason"],
        version=row["version"],
        slots=row["slots"],
        slots_in_use=row["slots_in_use"],
        labels=row["labels"],
        resources=to_resources(row["resources"]),
        performance=_to_performance(row),
        connected_at=row["connected_at"],
        last_heartbeat=row["last_heartbeat_at"],
        restorable=row["restorable"],
        control_plane=row["control_plane_id"],
        models=_models(row["labels"]),
        drain=to_drain(row),
        quarantine=to_quarantine(row),
        health=None if row["health"] is None else msgspec.convert(row["health"], Health),
    )


def _to_capability(value: dict[str, Any]) -> Capability:
    """A former version kept seconds without an end, as null."""
    seconds = value.get("probe_seconds") or 0.0
    return msgspec.convert({**value, "probe_seconds": seconds}, Capability)


def to_drain(row: Row) -> Drain | None:
    if row["drained_at"] is None:
        return None
    return Drain(at=row["drained_at"], by=row["drained_by"], reason=row["drain_reason"])


def to_quarantine(row: Row) -> Quarantine | None:
    if row["quarantined_at"] is None:
        return None
    return Quarantine(
        at=row["quarantined_at"],
        until=row["quarantine_until"],
        by=row["quarantined_by"],
        reason=row["quarantine_reason"],
        round=row["quarantine_round"],
    )


def _models(labels: Mapping[str, str]) -> list[str]:
    named = (name.strip() for name in labels.get("models", "").split(","))
    return [name for name in named if name]


def to_resources(value: dict[str, Any] | None) -> Resources | None:
    return None if value is None else msgspec.convert(value, Resources)


def _to_performance(row: Row) -> Performance:
    ended = row["tasks_completed"] + row["tasks_failed"]
    return Performance(
        tasks_completed=row["tasks_completed"],
        tasks_failed=row["tasks_failed"],
        average_duration_seconds=row["busy_seconds"] / ended if ended else 0.0,
        round_trip_seconds=row["round_trip_seconds"],
    )
