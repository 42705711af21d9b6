"""SQL of what agents may do now: drained, in quarantine, blamed for failures, shared.

Who locks several agents does so in the order of their ids.
"""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from orchestra.features.agents.repository.records import to_drain, to_quarantine
from orchestra.features.agents.types import AgentId, Quarantine, Standing
from orchestra.foundation.database import Row, Transaction, without_nul

_STANDING = """
    id, drained_at, drained_by, drain_reason, quarantined_at, quarantine_until, quarantined_by,
    quarantine_reason, quarantine_round, blamed <> '{}' AS is_blamed,
    shared_by_decision"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """A locked agent that has just failed at something, and what it has failed at before."""

    id: AgentId
    name: str
    owner_id: uuid.UUID
    blamed: tuple[uuid.UUID, ...]
    alone: frozenset[uuid.UUID]  # who can have brought all of that about alone
    quarantine: Quarantine | None
    round: int  # of the newest quarantine
    ended_at: datetime | None  # when the newest quarantine was over
    now: datetime


async def standing(tx: Transaction, agent_id: uuid.UUID) -> Standing | None:
    row = await tx.fetch_one(f"SELECT {_STANDING} FROM agents WHERE id = $1", agent_id)
    return _to_standing(row) if row else None


async def standings(tx: Transaction, control_plane_id: str) -> dict[AgentId, Standing]:
    """Of its agents those of which there is something to say."""
    rows = await tx.fetch(
        f"""
        SELECT {_STANDING} FROM agents
        WHERE control_plane_id = $1
            AND (drained_at IS NOT NULL OR quarantined_at IS NOT NULL OR blamed <> '{{}}'
                OR shared_by_decision IS NOT NULL)
        """,
        control_plane_id,
    )
    return {AgentId(row["id"]): _to_standing(row) for row in rows}


async def drain(tx: Transaction, agent_id: uuid.UUID, *, by: str, reason: str) -> None:
    await tx.execute(
        "UPDATE agents SET drained_at = now(), drained_by = $2, drain_reason = $3 WHERE id = $1",
        agent_id,
        without_nul(by),
        without_nul(reason),
    )


async def resume(tx: Transaction, agent_id: uuid.UUID) -> bool:
    """Ends a drain; False if there was none."""
    return (
        await tx.execute(
            "UPDATE agents SET drained_at = NULL WHERE id = $1 AND drained_at IS NOT NULL", agent_id
        )
        > 0
    )


async def share(tx: Transaction, agent_id: uuid.UUID, *, shared: bool) -> None:
    """It works for everybody, or for its owner alone, whatever it registers with."""
    await tx.execute(
        "UPDATE agents SET shared = $2, shared_by_decision = $2 WHERE id = $1", agent_id, shared
    )


async def quarantine(
    tx: Transaction, agent_id: uuid.UUID, *, by: str, reason: str, seconds: float | None, round: int
) -> None:
    """Begins a quarantine of so many seconds; None: until somebody ends it."""
    await tx.execute(
        """
        UPDATE agents SET quarantined_at = now(), quarantined_by = $2, quarantine_reason = $3,
            quarantine_until = now() + make_interval(secs => $4), quarantine_round = $5
        WHERE id = $1
        """,
        agent_id,
        without_nul(by),
        without_nul(reason),
        seconds,
        round,
    )


async def release(tx: Transaction, agent_id: uuid.UUID) -> bool:
    """Ends a quarantine and forgets failures; False if there was no quarantine."""
    return bool(
        await tx.fetch_value(
            """
            UPDATE agents AS agent SET quarantined_at = NULL, quarantine_until = NULL,
                quarantine_ended_at = now(), blamed = '{}'
            FROM (SELECT id, quarantined_at FROM agents WHERE id = $1 FOR NO KEY UPDATE) AS former
            WHERE agent.id = former.id RETURNING former.quarantined_at IS NOT NULL
            """,
            agent_id,
        )
    )


async def suspects(tx: Transaction, ids: Sequence[uuid.UUID]) -> list[Suspect]:
    """Locks the agents that have failed at something."""
    rows = await tx.fetch(
        f"""
        SELECT {_STANDING}, name, owner_id, blamed, blamed_alone, quarantine_ended_at,
            now() AS now
        FROM agents WHERE id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE
        """,
        list(ids),
    )
    return [
        Suspect(
            id=AgentId(row["id"]),
            name=row["name"],
            owner_id=row["owner_id"],
            blamed=tuple(row["blamed"]),
            alone=frozenset(row["blamed_alone"]),
            quarantine=to_quarantine(row),
            round=row["quarantine_round"],
            ended_at=row["quarantine_ended_at"],
            now=row["now"],
        )
        for row in rows
    ]


async def blame(
    tx: Transaction,
    agent_id: uuid.UUID,
    blamed: Sequence[uuid.UUID],
    *,
    alone: Collection[uuid.UUID],
) -> None:
    await tx.execute(
        "UPDATE agents SET blamed = $2, blamed_alone = $3 WHERE id = $1",
        agent_id,
        list(blamed),
        sorted(alone),
    )


async def did_well(tx: Transaction, ids: Sequence[uuid.UUID]) -> list[AgentId]:
    """These have done something well: failures are forgotten, and a trial is passed.

    Returns those whose quarantine that ends.
    """
    rows = await tx.fetch(
        """
        WITH former AS MATERIALIZED (
            SELECT id, coalesce(quarantine_until <= now(), false) AS passes
            FROM agents WHERE id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE
        )
        UPDATE agents SET
            blamed = '{}',
            quarantined_at = CASE WHEN passes THEN NULL ELSE quarantined_at END,
            quarantine_until = CASE WHEN passes THEN NULL ELSE quarantine_until END,
            quarantine_ended_at = CASE WHEN passes THEN now() ELSE quarantine_ended_at END
        FROM former WHERE agents.id = former.id
        RETURNING agents.id, passes
        """,
        list(ids),
    )
    return [AgentId(row["id"]) for row in rows if row["passes"]]


def _to_standing(row: Row) -> Standing:
    return Standing(
        drain=to_drain(row),
        quarantine=to_quarantine(row),
        is_blamed=bool(row["is_blamed"]),
        shared=row["shared_by_decision"],
    )
