"""Providers over REST for administrators, models for everybody, and `/v1` in OpenAI's format."""

import uuid
from typing import Any

from litestar import Request, Response, Router, delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException
from litestar.params import FromPath, JSONBody
from litestar.response import Stream
from litestar.types import ControllerRouterHandler
from msgspec import UNSET, structs

from orchestra.features.providers.errors import ModelNotFound
from orchestra.features.providers.schemas import (
    DefaultBody,
    ModelsView,
    ModelView,
    NewProviderBody,
    OpenAIModel,
    OpenAIModels,
    ProbeView,
    ProviderBody,
    ProvidersView,
    ProviderView,
    probe_view,
    provider_view,
)
from orchestra.features.providers.service import manage
from orchestra.features.providers.service.catalog import DEFAULT, Snapshot
from orchestra.features.providers.service.completions import error_body
from orchestra.features.providers.service.facade import Providers
from orchestra.foundation.auth import Actor, Permission, require
from orchestra.foundation.database import Database
from orchestra.foundation.errors import OrchestraError
from orchestra.foundation.web import as_orchestra_error, policy
from orchestra.foundation.web_disconnect import while_connected

ActorArg = NamedDependency[Actor]
DatabaseArg = NamedDependency[Database]
ProvidersArg = NamedDependency[Providers]
MANAGE = policy(require(Permission.PROVIDERS_MANAGE))
USE = policy(require(Permission.MODELS_USE))

# Conversations with pictures in them are larger than other requests.
MAX_CHAT_BYTES = 32 * 1024**2


@get("/api/providers", opt=MANAGE, tags=["providers"])
async def list_providers(database: DatabaseArg) -> ProvidersView:
    """All providers; of their keys only the last four characters."""
    async with database.transaction() as tx:
        found = await manage.everyone(tx)
    return ProvidersView(items=[provider_view(provider) for provider in found])


@post("/api/providers", opt=MANAGE, tags=["providers"])
async def create_provider(
    data: JSONBody[NewProviderBody], actor: ActorArg, database: DatabaseArg, providers: ProvidersArg
) -> ProviderView:
    """Adds a provider; test it next, which lists its models."""
    async with database.transaction() as tx:
        made = await manage.create(tx, actor, providers.workshop, structs.asdict(data))
    return provider_view(made)


@patch("/api/providers/{provider_id:uuid}", opt=MANAGE, tags=["providers"])
async def change_provider(
    provider_id: FromPath[uuid.UUID],
    data: JSONBody[ProviderBody],
    actor: ActorArg,
    database: DatabaseArg,
    providers: ProvidersArg,
) -> ProviderView:
    """Changes a provider; another base URL clears the key."""
    given = {name: value for name, value in structs.asdict(data).items() if value is not UNSET}
    async with database.transaction() as tx:
        changed = await manage.change(tx, actor, providers.workshop, provider_id, given)
    return provider_view(changed)


@delete("/api/providers/{provider_id:uuid}", opt=MANAGE, tags=["providers"])
async def delete_provider(
    provider_id: FromPath[uuid.UUID],
    actor: ActorArg,
    database: DatabaseArg,
    providers: ProvidersArg,
) -> None:
    """Deletes a provider and its key."""
    async with database.transaction() as tx:
        await manage.remove(tx, actor, providers.workshop, provider_id)


@post("/api/providers/{provider_id:uuid}/test", opt=MANAGE, status_code=200, tags=["providers"])
async def test_provider(provider_id: FromPath[uuid.UUID], providers: ProvidersArg) -> ProbeView:
    """Asks the provider for its models, which shows whether address and key are right."""
    return probe_view(await providers.test(provider_id))


@get("/api/models", opt=USE, tags=["providers"])
async def list_models(providers: ProvidersArg) -> ModelsView:
    """Every model that can be used now."""
    snapshot = await providers.catalog.current()
    default = _default_id(snapshot)
    return ModelsView(
        items=[
            ModelView(
                id=f"{target.name}/{model}",
                provider=target.name,
                name=model,
                is_default=f"{target.name}/{model}" == default,
            )
            for target in snapshot.targets.values()
            for model in target.models
        ]
    )


@put("/api/models/default", opt=MANAGE, status_code=204, tags=["providers"])
async def choose_default(
    data: JSONBody[DefaultBody], actor: ActorArg, database: DatabaseArg, providers: ProvidersArg
) -> None:
    """Sets the model that `default` means."""
    async with database.transaction() as tx:
        await manage.choose_default(tx, actor, providers.workshop, data.id)


@get("/models", opt=USE, tags=["openai"])
async def openai_models(providers: ProvidersArg) -> OpenAIModels:
    """The models in OpenAI's format."""
    snapshot = await providers.catalog.current()
    return OpenAIModels(
        data=[
            _openai_model(target.name, model)
            for target in snapshot.targets.values()
            for model in target.models
        ]
    )


@get("/models/{model_id:path}", opt=USE, tags=["openai"])
async def openai_model(model_id: FromPath[str], providers: ProvidersArg) -> OpenAIModel:
    """One model in OpenAI's format; `default` is the default one."""
    name = model_id.lstrip("/")
    choice = (await providers.catalog.current()).choose(name)
    if name != DEFAULT and choice.model not in choice.target.models:
        raise ModelNotFound(f"There is no model {name[:200]!r} here.")
    return _openai_model(choice.target.name, choice.model)


@post(
    "/chat/completions",
    opt=USE,
    status_code=200,
    tags=["openai"],
    request_max_body_size=MAX_CHAT_BYTES,
)
async def chat_completions(
    request: Request[Any, Any, Any], providers: ProvidersArg
) -> Response[Any]:
    """A chat completion in OpenAI's format, streamed or whole; `model` is `<provider>/<model>`."""
    # Not a second dependency: for two the framework starts a task group, on every call.
    actor: Actor = request.user
    completions = providers.completions
    choice, chat = await completions.prepare(await request.body())
    if not chat.stream:
        answer = await while_connected(request, completions.whole(actor, choice, chat))
        return Response(answer, media_type="application/json")
    events = await while_connected(request, completions.stream(actor, choice, chat))
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return Stream(events, media_type="text/event-stream", headers=headers)


def _openai_model(provider: str, model: str) -> OpenAIModel:
    return OpenAIModel(id=f"{provider}/{model}", created=0, owned_by=provider)


def _default_id(snapshot: Snapshot) -> str | None:
    default = snapshot.default
    return f"{default.target.name}/{default.model}" if default else None


def _openai_error(_request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Every failure under `/v1` as OpenAI's clients read it."""
    found = as_orchestra_error(_request, error)
    headers: dict[str, str] = {}
    if found.retry_after is not None:
        headers["Retry-After"] = str(max(1, round(found.retry_after)))
    # OpenAI answers 400, not 422, to a request that is not right.
    status = 400 if found.status == 422 else int(found.status)
    return Response(error_body(found), status_code=status, headers=headers)


v1 = Router(
    path="/v1",
    route_handlers=[openai_models, openai_model, chat_completions],
    exception_handlers={
        OrchestraError: _openai_error,
        HTTPException: _openai_error,
        Exception: _openai_error,
    },
)

routes: list[ControllerRouterHandler] = [
    list_providers,
    create_provider,
    change_provider,
    delete_provider,
    test_provider,
    list_models,
    choose_default,
    v1,
]
