"""Which providers there are right now, ready to be called; looked up at most once a second."""

import asyncio
import uuid
from dataclasses import dataclass

import structlog

from orchestra.features.providers import repository
from orchestra.features.providers.errors import ModelNotFound, NoDefaultModel, UnreadableKey
from orchestra.features.providers.service.vault import Vault
from orchestra.features.providers.types import Provider, Target
from orchestra.foundation import clock
from orchestra.foundation.database import Database
from orchestra.foundation.settings import Settings

log = structlog.get_logger(__name__)

# A provider switched off elsewhere is called no longer than this.
LIFE_SECONDS = 1.0
MAX_PROVIDERS = 200
DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Choice:
    """A provider and which of its models."""

    target: Target
    model: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The enabled providers by name, and what `default` means."""

    targets: dict[str, Target]
    default: Choice | None

    def choose(self, model: str) -> Choice:
        """Finds `default` or `<provider>/<model>`; raises ModelNotFound or NoDefaultModel."""
        if model == DEFAULT:
            if self.default is None:
                raise NoDefaultModel
            return self.default
        name, _, rest = model.partition("/")
        target = self.targets.get(name)
        if target is None or not rest:
            raise ModelNotFound(f"There is no model {model[:200]!r} here.")
        return Choice(target, rest)


class Catalog:
    """The present snapshot of one process."""

    def __init__(self, database: Database, settings: Settings, vault: Vault) -> None:
        self._database = database
        self._settings = settings
        self._vault = vault
        self._snapshot: Snapshot | None = None
        self._until = 0.0
        self._loading = asyncio.Lock()

    async def current(self) -> Snapshot:
        if self._snapshot is not None and clock.monotonic() < self._until:
            return self._snapshot
        async with self._loading:
            if self._snapshot is None or clock.monotonic() >= self._until:
                self._snapshot = await self._load()
                self._until = clock.monotonic() + LIFE_SECONDS
            return self._snapshot

    async def changed(self) -> None:
        """The next look reads the database again."""
        self._until = 0.0

    def target_of(self, provider: Provider) -> Target:
        """Raises UnreadableKey."""
        return Target(
            id=provider.id,
            name=provider.name,
            kind=provider.kind,
            base_url=provider.base_url,
            key=self._key_of(provider),
            models=tuple(provider.models),
            max_tokens=self._settings.local_model_max_tokens if provider.is_local else None,
        )

    def _key_of(self, provider: Provider) -> str:
        if provider.is_local:
            return self._settings.model_key
        if provider.key_ciphertext is None:
            return ""
        return self._vault.decrypt(provider.key_ciphertext, place=key_place(provider.id))

    async def _load(self) -> Snapshot:
        async with self._database.transaction() as tx:
            providers = await repository.everyone(tx, limit=MAX_PROVIDERS)
            chosen = await repository.default(tx)
        targets: dict[str, Target] = {}
        for provider in providers:
            if not provider.enabled or (provider.is_local and not self._settings.model_url):
                continue
            try:
                targets[provider.name] = self.target_of(provider)
            except UnreadableKey:
                log.error("a provider's key cannot be decrypted", provider=provider.name)  # noqa: TRY400 - the reason is known
        default = None
        if chosen is not None:
            found = [item for item in targets.values() if item.id == chosen.provider_id]
            default = Choice(found[0], chosen.model) if found else None
        return Snapshot(targets, default)


def key_place(provider_id: uuid.UUID) -> str:
    """Where a provider's key is stored, to which its ciphertext is bound."""
    return f"providers/{provider_id}/api_key"
