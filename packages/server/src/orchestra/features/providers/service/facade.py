"""Providers as the processes hold them: opened at the start, closed at the end."""

import uuid
from datetime import timedelta

import structlog

from orchestra.features.providers.service import manage
from orchestra.features.providers.service.calls import Calls
from orchestra.features.providers.service.catalog import Catalog
from orchestra.features.providers.service.completions import Completions
from orchestra.features.providers.service.manage import Workshop
from orchestra.features.providers.service.probe import probe
from orchestra.features.providers.service.vault import Vault
from orchestra.features.providers.types import Probe
from orchestra.foundation import clock
from orchestra.foundation.concurrency import Guard, forever
from orchestra.foundation.database import Database
from orchestra.foundation.egress import Egress
from orchestra.foundation.errors import OrchestraError
from orchestra.foundation.settings import Settings

log = structlog.get_logger(__name__)

LIST_LIFE = timedelta(hours=1)
LOOK_SECONDS = 60.0


class Providers:
    """Everything that calling models needs; make it with `open` inside the event loop."""

    def __init__(self, database: Database, settings: Settings, vault: Vault) -> None:
        self._database = database
        self.egress = Egress(settings)
        self.catalog = Catalog(database, settings, vault)
        self.calls = Calls(database)
        self.completions = Completions(self.catalog, self.egress, self.calls)
        self.workshop = Workshop(self.catalog, vault, self.egress)
        self._guard = Guard()

    @classmethod
    async def open(cls, database: Database, settings: Settings) -> "Providers":
        """Checks the encryption keys, ensures the local provider; raises BadKeyEncryptionKey."""
        vault = await Vault.open(database, settings)
        async with database.transaction() as tx:
            await manage.ensure_local(tx, settings)
        opened = cls(database, settings, vault)
        opened.calls.start()
        opened._guard.spawn("model-lists", forever("model-lists", opened._refresh))
        return opened

    async def close(self) -> None:
        """Writes down the last calls and closes connections."""
        await self._guard.stop()
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
            async with self._database.transaction() as tx:
                await manage.keep_models(tx, provider, found.models)
                tx.after_commit(self.catalog.changed)
        return found

    async def _refresh(self) -> float:
        """Renews lists of models that are old; one that fails is asked again at the next look."""
        async with self._database.transaction() as tx:
            present = await manage.everyone(tx)
        old = clock.now() - LIST_LIFE
        for provider in present:
            checked = provider.models_checked_at
            if provider.enabled and (checked is None or checked < old):
                try:
                    await self.test(provider.id)
                except OrchestraError as error:
                    log.warning("no models", provider=provider.name, error=error.message)
        return LOOK_SECONDS
