"""The values of providers: who offers models, which model is meant, and what a call used."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ProviderKind(StrEnum):
    OPENAI = "openai"  # and everything that speaks OpenAI's chat completions
    ANTHROPIC = "anthropic"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A provider as it is stored; its key is encrypted and its last four characters are shown."""

    id: uuid.UUID
    name: str
    kind: ProviderKind
    base_url: str
    key_ciphertext: bytes | None
    key_last4: str | None
    enabled: bool
    is_local: bool
    models: list[str]
    models_checked_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A provider ready to be called, its key in the clear; never logged or shown."""

    id: uuid.UUID
    name: str
    kind: ProviderKind
    base_url: str
    key: str
    models: tuple[str, ...]
    max_tokens: int | None = None  # of one answer, whatever its caller asks for

    def __repr__(self) -> str:
        return f"Target({self.name})"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDefault:
    """The model that `default` means."""

    provider_id: uuid.UUID
    model: str


@dataclass(slots=True)
class Usage:
    """Tokens that the provider counted."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCall:
    """One call, for bill and charts; `outcome` is `succeeded`, `cancelled` or an error's code."""

    id: uuid.UUID
    user_id: uuid.UUID | None
    task_id: uuid.UUID | None
    epoch: int | None
    provider_id: uuid.UUID
    provider: str
    model: str
    prompt_tokens: int
    completion_tokens: int
    first_token_ms: float | None
    duration_ms: float
    outcome: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What a test of the connection found; `error` says in words what to do next."""

    ok: bool
    latency_ms: float
    models: list[str]
    error: str | None
