"""What the first start leaves to be done by a person: the key of this machine, and the first
administrator.
"""

from orchestra.foundation.settings import Settings
from orchestra.processes.lean import import_lean


async def prepare(settings: Settings) -> str | None:
    """Makes the local key file; returns a one-time token while there is no administrator."""
    # Imported here: the supervisor has programs to start before it needs these.
    import_lean()
    from orchestra.features import identity  # noqa: PLC0415
    from orchestra.foundation.database import Database  # noqa: PLC0415

    database = await Database.connect(settings.database_url, pool_size=2)
    try:
        await identity.ensure_local_key(database, settings)
        return await identity.first_admin_link(database, settings)
    finally:
        await database.close()


def text(url: str, link: str | None) -> str:
    """What to open in a browser."""
    if link is None:
        return f"AI Orchestra is ready: {url}"
    return (
        f"AI Orchestra is ready. Create the first administrator here (the link works once):\n{link}"
    )
