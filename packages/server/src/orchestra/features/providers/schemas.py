"""What providers and models look like over REST; `/v1` speaks OpenAI's format instead."""

import uuid
from datetime import datetime
from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from orchestra.features.providers.types import Probe, Provider, ProviderKind
from orchestra.foundation.web import Body, View

Name = Annotated[str, Meta(min_length=1, max_length=100)]
Address = Annotated[str, Meta(max_length=2_048)]
Key = Annotated[str, Meta(max_length=2_000)]


class NewProviderBody(Body):
    """Without `base_url` it is the kind's own service; `enabled` unless said otherwise."""

    name: Name
    kind: ProviderKind
    base_url: Address | None = None
    api_key: Key | None = None
    enabled: bool = True


class ProviderBody(Body):
    """Fields left out stay as they are; a new `base_url` or `kind` clears a key not given anew."""

    name: Name | UnsetType = UNSET
    kind: ProviderKind | UnsetType = UNSET
    base_url: Address | UnsetType | None = UNSET
    api_key: Key | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET


class DefaultBody(Body):
    """`<provider>/<model>`."""

    id: Annotated[str, Meta(min_length=1, max_length=300)]


class ProviderView(View):
    """`key_last4` is all that is ever shown of a key."""

    id: uuid.UUID
    name: str
    kind: ProviderKind
    base_url: str
    key_last4: str | None
    enabled: bool
    is_local: bool
    models: list[str]
    models_checked_at: datetime | None
    created_at: datetime


class ProvidersView(View):
    items: list[ProviderView]


class ProbeView(View):
    """`error` says in words what to do next."""

    ok: bool
    latency_ms: float
    models: list[str]
    error: str | None


class ModelView(View):
    """`id` is `<provider>/<model>`."""

    id: str
    provider: str
    name: str
    is_default: bool


class ModelsView(View):
    items: list[ModelView]


class OpenAIModel(View):
    id: str
    created: int
    owned_by: str
    object: str = "model"


class OpenAIModels(View):
    data: list[OpenAIModel]
    object: str = "list"


def provider_view(provider: Provider) -> ProviderView:
    names = ProviderView.__struct_fields__
    return ProviderView(**{name: getattr(provider, name) for name in names})


def probe_view(found: Probe) -> ProbeView:
    return ProbeView(
        ok=found.ok, latency_ms=found.latency_ms, models=found.models, error=found.error
    )
