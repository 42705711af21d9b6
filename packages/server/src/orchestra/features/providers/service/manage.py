"""Setting providers up: names, addresses, keys never shown again, and the default model."""

import re
import uuid
from dataclasses import dataclass
from typing import Any

from orchestra.features import audit
from orchestra.features.providers import repository
from orchestra.features.providers.errors import LocalProviderFixed, ModelNotFound
from orchestra.features.providers.service.catalog import MAX_PROVIDERS, Catalog, key_place
from orchestra.features.providers.service.vault import Vault
from orchestra.features.providers.types import ModelDefault, Provider, ProviderKind
from orchestra.foundation import clock, ids
from orchestra.foundation.auth import SYSTEM, Actor
from orchestra.foundation.database import Transaction
from orchestra.foundation.egress import Egress
from orchestra.foundation.errors import Conflict, FieldError, InvalidInput, NotFound
from orchestra.foundation.settings import Settings

LOCAL_NAME = "local"
LOCAL_MODEL = "smollm2-135m-instruct"
BASE_URLS = {
    ProviderKind.OPENAI: "https://api.openai.com/v1",
    ProviderKind.ANTHROPIC: "https://api.anthropic.com/v1",
}
MAX_KEY = 1_000
# Four characters of a shorter key would give too much of it away.
SHOWN_FROM_LENGTH = 12
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,49}")
_RESERVED = frozenset({LOCAL_NAME, "default"})


@dataclass(frozen=True, slots=True)
class Workshop:
    """What changing providers needs besides a transaction."""

    catalog: Catalog
    vault: Vault
    egress: Egress


async def create(
    tx: Transaction, actor: Actor, workshop: Workshop, given: dict[str, Any]
) -> Provider:
    """A provider from `name`, `kind` and what else is given; raises InvalidInput or NameTaken."""
    if await repository.count(tx) >= MAX_PROVIDERS:
        raise Conflict(f"There are {MAX_PROVIDERS} providers already; delete one first.")
    provider_id, kind = ids.new_id(), ProviderKind(given["kind"])
    sealed, last4 = _sealed(workshop.vault, provider_id, given.get("api_key"))
    provider = Provider(
        id=provider_id,
        name=_checked_name(given["name"]),
        kind=kind,
        base_url=_checked_url(workshop.egress, given.get("base_url") or BASE_URLS[kind]),
        key_ciphertext=sealed,
        key_last4=last4,
        enabled=given.get("enabled", True),
        is_local=False,
        models=[],
        models_checked_at=None,
        created_at=clock.now(),
    )
    await repository.insert(tx, provider)
    tx.after_commit(workshop.catalog.changed)
    details = {"name": provider.name, "kind": kind, "base_url": provider.base_url}
    await _record(tx, actor, "provider.created", provider, details)
    return provider


async def change(
    tx: Transaction, actor: Actor, workshop: Workshop, provider_id: uuid.UUID, given: dict[str, Any]
) -> Provider:
    """Sets what is given. Another address or kind clears the key, unless a new one comes along."""
    before = await get(tx, provider_id)
    if before.is_local and set(given) - {"enabled"}:
        raise LocalProviderFixed
    changes: dict[str, Any] = {name: given[name] for name in ("kind", "enabled") if name in given}
    if "name" in given and given["name"] != before.name:
        changes["name"] = _checked_name(given["name"])
    if "base_url" in given:
        kind = ProviderKind(given.get("kind", before.kind))
        changes["base_url"] = _checked_url(workshop.egress, given["base_url"] or BASE_URLS[kind])
    moved = any(changes.get(name, old) != old for name, old in _place_of(before))
    if "api_key" in given or moved:
        sealed, last4 = _sealed(workshop.vault, provider_id, given.get("api_key"))
        changes |= {"key_ciphertext": sealed, "key_last4": last4}
    if moved:
        changes |= {"models": [], "models_checked_at": None}
    after = await repository.update(tx, provider_id, changes, now=clock.now())
    if after is None:
        raise NotFound
    tx.after_commit(workshop.catalog.changed)
    told = {"fields": sorted(given), "key_cleared": moved and not given.get("api_key")}
    await _record(tx, actor, "provider.changed", after, {**told, "base_url": after.base_url})
    return after


async def remove(tx: Transaction, actor: Actor, workshop: Workshop, provider_id: uuid.UUID) -> None:
    provider = await get(tx, provider_id)
    if provider.is_local:
        raise LocalProviderFixed
    await repository.delete(tx, provider_id)
    tx.after_commit(workshop.catalog.changed)
    await _record(tx, actor, "provider.deleted", provider, {"name": provider.name})


async def get(tx: Transaction, provider_id: uuid.UUID) -> Provider:
    provider = await repository.by_id(tx, provider_id)
    if provider is None:
        raise NotFound
    return provider


async def choose_default(tx: Transaction, actor: Actor, workshop: Workshop, model: str) -> None:
    """Sets what `default` means, from `<provider>/<model>`; raises ModelNotFound."""
    name, _, rest = model.partition("/")
    found = [item for item in await everyone(tx) if item.name == name and item.enabled]
    if not found or rest not in found[0].models:
        raise ModelNotFound(f"There is no model {model[:200]!r} here; test its provider first.")
    await repository.set_default(tx, ModelDefault(provider_id=found[0].id, model=rest))
    tx.after_commit(workshop.catalog.changed)
    await audit.record(tx, actor, "model_default.changed", target_kind="model", target_id=model)


async def everyone(tx: Transaction) -> list[Provider]:
    return await repository.everyone(tx, limit=MAX_PROVIDERS)


async def keep_models(tx: Transaction, provider: Provider, models: list[str]) -> None:
    """Stores a provider's list. The local server's default follows what it really serves."""
    now = clock.now()
    changes = {"models": models, "models_checked_at": now}
    await repository.update(tx, provider.id, changes, now=now)
    default = await repository.default(tx)
    if default is None or default.provider_id != provider.id or not provider.is_local:
        return
    if models and default.model not in models:
        await repository.set_default(tx, ModelDefault(provider_id=provider.id, model=models[0]))


async def ensure_local(tx: Transaction, settings: Settings) -> None:
    """Makes the row of the local model server fit the settings; it is the first default."""
    await repository.lock_start(tx)
    present = await repository.local(tx)
    if not settings.model_url:
        return
    base_url = settings.model_url.rstrip("/")
    now = clock.now()
    if present is None:
        present = _local_provider(base_url)
        await repository.insert(tx, present)
        await _record(tx, SYSTEM, "provider.created", present, {"name": LOCAL_NAME})
    elif present.base_url != base_url:
        await repository.update(tx, present.id, {"base_url": base_url}, now=now)
    if await repository.default(tx) is None:
        first = ModelDefault(provider_id=present.id, model=LOCAL_MODEL)
        await repository.set_default(tx, first)


def _local_provider(base_url: str) -> Provider:
    return Provider(
        id=ids.new_id(),
        name=LOCAL_NAME,
        kind=ProviderKind.OPENAI,
        base_url=base_url,
        key_ciphertext=None,
        key_last4=None,
        enabled=True,
        is_local=True,
        models=[LOCAL_MODEL],
        models_checked_at=None,
        created_at=clock.now(),
    )


def _place_of(provider: Provider) -> tuple[tuple[str, str], ...]:
    """Where a key is sent: another place never gets it."""
    return ("base_url", provider.base_url), ("kind", provider.kind)


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name) or name in _RESERVED:
        raise _invalid("name", "Use 1 to 50 of a-z, 0-9 and . _ - (not `local` or `default`).")
    return name


def _checked_url(egress: Egress, given: str) -> str:
    """The address without a slash at its end; a bare host gets the customary `/v1`."""
    url = egress.check_url(given)
    if url.query_string:
        raise _invalid("base_url", "Leave out the part from the question mark on.")
    path = url.path.rstrip("/")
    return str(url.with_path(path or "/v1"))


def _sealed(
    vault: Vault, provider_id: uuid.UUID, key: str | None
) -> tuple[bytes | None, str | None]:
    key = (key or "").strip()
    if not key:
        return None, None
    if len(key) > MAX_KEY or not key.isascii() or not key.isprintable() or " " in key:
        raise _invalid("api_key", "A key is one word of visible ASCII characters.")
    last4 = key[-4:] if len(key) >= SHOWN_FROM_LENGTH else ""
    return vault.encrypt(key, place=key_place(provider_id)), last4


def _invalid(field: str, message: str) -> InvalidInput:
    return InvalidInput(message, fields=[FieldError(field, message)])


async def _record(
    tx: Transaction, actor: Actor, action: str, provider: Provider, details: dict[str, Any]
) -> None:
    await audit.record(
        tx, actor, action, target_kind="provider", target_id=provider.id, details=details
    )
