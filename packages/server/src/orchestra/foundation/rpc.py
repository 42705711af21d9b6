"""The gRPC door: who calls, what each rpc asks of its caller, and errors as gRPC statuses."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Any

import grpc
import grpc.aio
import structlog

from orchestra.foundation import ids, rpc_wakeups, telemetry
from orchestra.foundation.auth import Actor, Authenticator, Credential, Policy
from orchestra.foundation.errors import OrchestraError, Unauthenticated
from orchestra.foundation.rpc_calls import OpenCalls
from orchestra.foundation.settings import Settings

log = structlog.get_logger(__name__)

_actor: ContextVar[Actor] = ContextVar("rpc_actor")

Context = Any  # grpc.aio.ServicerContext; the stubs and grpcio disagree about its parameters


def current_actor() -> Actor:
    """Who calls this rpc; raises Unauthenticated outside of one."""
    actor = _actor.get(None)
    if actor is None:
        raise Unauthenticated
    return actor


def create_server(
    settings: Settings,
    *,
    authenticator: Authenticator,
    policies: Mapping[str, Policy],
    calls: OpenCalls,
) -> grpc.aio.Server:
    """A server whose rpcs are allowed by `policies` (full method name → policy); any other is
    refused. Its streams are found in `calls` while they are open.
    """
    with rpc_wakeups.never_waiting():
        return grpc.aio.server(
            interceptors=[PolicyInterceptor(authenticator, policies, calls)],
            options=[
                ("grpc.max_receive_message_length", settings.max_grpc_message_bytes),
                ("grpc.max_send_message_length", settings.max_grpc_message_bytes),
                # Agents ping every 10 s; a silent connection is found within 30 s.
                ("grpc.keepalive_time_ms", 20_000),
                ("grpc.keepalive_timeout_ms", 10_000),
                ("grpc.keepalive_permit_without_calls", 1),
                ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
                ("grpc.http2.max_ping_strikes", 0),
                ("grpc.so_reuseport", 0),
            ],
        )


class PolicyInterceptor(grpc.aio.ServerInterceptor):
    """Authenticates by metadata, checks the policy, turns our errors into statuses, measures."""

    def __init__(
        self, authenticator: Authenticator, policies: Mapping[str, Policy], calls: OpenCalls
    ) -> None:
        self._authenticator = authenticator
        self._policies = policies
        self._calls = calls

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method
        metadata = {
            str(key): str(value) for key, value in handler_call_details.invocation_metadata or ()
        }
        call = _Call(self._authenticator, self._policies.get(method), method, metadata)
        return _wrap(handler, call, self._calls)


class _Call:
    """What stands around one rpc."""

    def __init__(
        self,
        authenticator: Authenticator,
        policy: Policy | None,
        method: str,
        metadata: Mapping[str, str],
    ) -> None:
        self._authenticator = authenticator
        self._policy = policy
        self._metadata = metadata
        self.method = method

    async def admit(self) -> Actor | None:
        """Who calls; None where nobody is asked. Raises Unauthenticated or Forbidden."""
        request_id = self._metadata.get("x-request-id") or ids.short_id()
        telemetry.request_id.set(request_id)
        telemetry.bind(request_id=request_id, rpc=self.method.rpartition("/")[2])
        if self._policy is not None and self._policy.is_public:
            return None
        actor = await self._authenticator.authenticate(self._credential())
        _actor.set(actor)
        telemetry.bind(caller=f"{actor.kind}:{actor.id}")
        if self._policy is None:
            raise Unauthenticated(f"{self.method} has no policy and is closed.")
        self._policy.check(actor)
        return actor

    def trace_parent(self) -> dict[str, str] | None:
        parent = self._metadata.get("traceparent")
        return {"traceparent": parent} if parent else None

    def _credential(self) -> Credential:
        scheme, _, token = self._metadata.get("authorization", "").partition(" ")
        bearer = token.strip() if scheme.lower() == "bearer" else ""
        return Credential(
            bearer=bearer or None, ip=self._metadata.get("x-envoy-external-address", "")
        )


def _wrap(handler: Any, call: _Call, calls: OpenCalls) -> Any:
    if handler.response_streaming:
        kind = (
            grpc.stream_stream_rpc_method_handler
            if handler.request_streaming
            else grpc.unary_stream_rpc_method_handler
        )
        behavior = handler.stream_stream if handler.request_streaming else handler.unary_stream
        guarded = _guard_stream(behavior, call, calls)
    else:
        kind = (
            grpc.stream_unary_rpc_method_handler
            if handler.request_streaming
            else grpc.unary_unary_rpc_method_handler
        )
        behavior = handler.stream_unary if handler.request_streaming else handler.unary_unary
        guarded = _guard_unary(behavior, call)
    return kind(guarded, handler.request_deserializer, handler.response_serializer)


def _guard_unary(behavior: Callable[[Any, Context], Awaitable[Any]], call: _Call) -> Any:
    async def guarded(request: Any, context: Context) -> Any:
        try:
            await call.admit()
            with telemetry.span(call.method, parent=call.trace_parent()):
                return await behavior(request, context)
        except OrchestraError as error:
            await abort(context, error)
        except Exception as error:  # noqa: BLE001 - the edge: everything else is ours to log
            await _abort_unexpected(context, call, error)

    return guarded


def _guard_stream(
    behavior: Callable[[Any, Context], AsyncIterator[Any]], call: _Call, calls: OpenCalls
) -> Any:
    async def guarded(request: Any, context: Context) -> AsyncIterator[Any]:
        try:
            actor = await call.admit()
            if actor is None:
                async for response in behavior(request, context):
                    yield response
                return
            with calls.opened(actor) as opened:
                async for response in behavior(request, context):
                    opened.is_sending = True
                    yield response
                    opened.sent()
        except OrchestraError as error:
            await abort(context, error)
        except (grpc.aio.AbortError, GeneratorExit):
            raise
        except Exception as error:  # noqa: BLE001 - the edge: everything else is ours to log
            await _abort_unexpected(context, call, error)

    return guarded


async def abort(context: Context, error: OrchestraError) -> None:
    """Ends the call with the status of `error`; `orchestra-code` in the trailers is its stable
    code.
    """
    trailers = [("orchestra-code", error.code)]
    if error.retry_after is not None:
        trailers.append(("retry-after", f"{error.retry_after:g}"))
    await context.abort(
        grpc.StatusCode[error.grpc_status], error.message, trailing_metadata=tuple(trailers)
    )


async def _abort_unexpected(context: Context, call: _Call, error: Exception) -> None:
    if isinstance(error, grpc.aio.AbortError):
        raise error
    log.error("rpc failed", rpc=call.method, exc_info=error)
    await context.abort(
        grpc.StatusCode.INTERNAL, "This failed on our side; the request id helps to find out why."
    )
