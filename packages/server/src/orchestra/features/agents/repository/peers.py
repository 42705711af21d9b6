"""SQL that tells a control plane which agents are connected to the others."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from orchestra.features.agents.repository.records import seen, to_resources
from orchestra.features.agents.types import AgentId, Resources
from orchestra.foundation.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerAgent:
    """An agent of another control plane, as that one has last written it down."""

    id: AgentId
    control_plane_id: str
    owner_id: uuid.UUID | None  # None: it works for everybody
    capabilities: tuple[str, ...]
    slots: int
    slots_in_use: int
    is_working: bool  # neither drained, nor in quarantine, nor silent
    latency_seconds: float = 0.0  # how long its tasks take of late; 0: nobody knows
    resources: Resources | None = None


async def living_planes(database: Database, control_plane_id: str, *, seconds: float) -> list[str]:
    """The other control planes that have said of late that they live."""
    rows = await database.fetch(
        """
        SELECT id FROM control_planes
        WHERE id <> $1 AND seen_at > now() - make_interval(secs => $2)
        """,
        control_plane_id,
        seconds,
    )
    return [row["id"] for row in rows]


async def note_living(database: Database, control_plane_id: str) -> None:
    """One without agents says so, too."""
    async with database.transaction() as tx:
        await seen(tx, control_plane_id)


async def count_at(database: Database, planes: Sequence[str]) -> int:
    """How many agents are connected to these control planes."""
    (row,) = await database.fetch(
        """
        SELECT count(*) AS count FROM agents
        WHERE control_plane_id = ANY($1) AND status <> 'offline'
        """,
        list(planes),
    )
    return int(row["count"])


async def agents_of(
    database: Database, planes: Sequence[str], *, capabilities: Sequence[str]
) -> list[PeerAgent]:
    """The agents of these control planes that can do one of these things."""
    rows = await database.fetch(
        """
        SELECT id, control_plane_id, capabilities, slots, slots_in_use, latency_seconds, resources,
            CASE WHEN NOT shared THEN owner_id END AS owner_id,
            status IN ('online', 'busy') AS is_working
        FROM agents
        WHERE control_plane_id = ANY($1) AND status <> 'offline' AND capabilities && $2::text[]
        """,
        list(planes),
        list(capabilities),
    )
    return [
        PeerAgent(
            id=AgentId(row["id"]),
            control_plane_id=row["control_plane_id"],
            owner_id=row["owner_id"],
            capabilities=tuple(row["capabilities"]),
            slots=row["slots"],
            slots_in_use=row["slots_in_use"],
            is_working=row["is_working"],
            latency_seconds=row["latency_seconds"],
            resources=to_resources(row["resources"]),
        )
        for row in rows
    ]
