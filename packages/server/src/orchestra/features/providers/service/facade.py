"""Providers as the processes hold them: opened at the start, closed at the end."""

import uuid

from orchestra.features.providers import repository
from orchestra.features.providers.service import manage
from orchestra.features.providers.service.calls import Calls
from orchestra.features.providers.service.catalog import Catalog
from orchestra.features.providers.service.completions import Completions
from orchestra.features.providers.service.manage import Workshop
from orchestra.features.providers.service.probe import probe
from orchestra.features.providers.service.vault import Vault
from orchestra.features.providers.types import Probe
from orchestra.foundation import clock
from orchestra.foundation.database import Database
from orchestra.foundation.egress import Egress
from orchestra.foundation.settings import Settings


class Providers:
    """Everything that calling models needs; make it with `open` inside the event loop."""

    def __init__(self, database: Database, settings: Settings, vault: Vault) -> None:
        self._database = database
        self.egress = Egress(settings)
        self.catalog = Catalog(database, settings, vault)
        self.calls = Calls(database)
        self.completions = Completions(self.catalog, self.egress, self.calls)
        self.workshop = Workshop(self.catalog, vault, self.egress)

    @classmethod
    async def open(cls, database: Database, settings: Settings) -> "Providers":
        """Checks the encryption keys, ensures the local provider; raises BadKeyEncryptionKey."""
        vault = await Vault.open(database, settings)
        async with database.transaction() as tx:
            await manage.ensure_local(tx, settings)
        opened = cls(database, settings, vault)
        opened.calls.start()
        return opened

    async def close(self) -> None:
        """Writes down the last calls and closes connections."""
        try:
            await self.calls.close()
        finally:
            await self.egress.close()

    async def test(self, provider_id: uuid.UUID) -> Probe:
        """Asks the provider for its models and keeps them; no transaction is open meanwhile."""
        async with self._database.transaction() as tx:
            provider = await manage.get(tx, provider_id)
        found = await probe(self.egress, self.catalog.target_of(provider))
        if found.ok:
            now = clock.now()
            changes = {"models": found.models, "models_checked_at": now}
            async with self._database.transaction() as tx:
                await repository.update(tx, provider_id, changes, now=now)
                tx.after_commit(self.catalog.changed)
        return found
