"""The audit log over REST: for administrators, read only."""

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromQuery
from litestar.types import ControllerRouterHandler

from orchestra.features.audit import service
from orchestra.features.audit.schemas import ActorView, AuditEntry, TargetView, Verification
from orchestra.features.audit.types import ChainedEntry
from orchestra.foundation.auth import Permission, require
from orchestra.foundation.database import Database, without_nul
from orchestra.foundation.web import Page, decode_cursor, encode_cursor, page_limit, policy

DatabaseArg = NamedDependency[Database]


@get("/api/audit", opt=policy(require(Permission.AUDIT_READ)), tags=["audit"])
async def list_entries(
    database: DatabaseArg,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int | None] = None,
    action: FromQuery[str | None] = None,
    actor_id: FromQuery[str | None] = None,
) -> Page[AuditEntry]:
    """Recorded changes, the newest first."""
    size = page_limit(limit)
    before = _row_before(cursor)
    async with database.transaction() as tx:
        rows = await service.newest(
            tx,
            before=before,
            action=_text(action),
            actor_id=_text(actor_id),
            limit=size + 1,
        )
    more = encode_cursor(rows[size - 1].id) if len(rows) > size else None
    return Page(items=[_view(row) for row in rows[:size]], next_cursor=more)


@get("/api/audit/verify", opt=policy(require(Permission.AUDIT_READ)), tags=["audit"])
async def verify(database: DatabaseArg) -> Verification:
    """Walks the whole chain, which takes about a second for a hundred thousand rows."""
    async with database.transaction() as tx:
        first_bad = await service.verify(tx)
    return Verification(intact=first_bad is None, first_bad_id=first_bad)


def _text(given: str | None) -> str | None:
    return without_nul(given) if given else None


def _row_before(cursor: str | None) -> int | None:
    if not cursor:
        return None
    row_id: int = decode_cursor(cursor, int)[0]
    # A bigint's largest: beyond it PostgreSQL could not even be asked.
    return min(row_id, 2**63 - 1)


def _view(row: ChainedEntry) -> AuditEntry:
    entry = row.entry
    return AuditEntry(
        id=row.id,
        at=entry.at,
        actor=ActorView(kind=entry.actor_kind, id=entry.actor_id, name=entry.actor_name),
        action=entry.action,
        target=TargetView(kind=entry.target_kind, id=entry.target_id),
        details=entry.details,
        ip=entry.ip,
        request_id=entry.request_id,
    )


routes: list[ControllerRouterHandler] = [list_entries, verify]
