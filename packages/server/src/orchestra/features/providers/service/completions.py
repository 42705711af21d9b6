"""One chat completion: find the model, ask its provider, relay the answer, note the usage."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import msgspec
import structlog

from orchestra.features.providers.errors import RequestRefused, StreamBroken
from orchestra.features.providers.service import upstream
from orchestra.features.providers.service.calls import Calls
from orchestra.features.providers.service.catalog import Catalog, Choice
from orchestra.features.providers.service.openai_wire import OpenAIWire
from orchestra.features.providers.service.wire import ChatRequest, Fields, StreamReader, Wire
from orchestra.features.providers.types import ModelCall, ProviderKind, Usage
from orchestra.foundation import clock, ids
from orchestra.foundation.auth import Actor
from orchestra.foundation.egress import Egress, Reply, Timeouts, Unreachable
from orchestra.foundation.errors import FieldError, InvalidInput, OrchestraError

log = structlog.get_logger(__name__)

MAX_ANSWER_BYTES = 16 * 1024**2
# Without a stream the head comes with the whole answer, which may take minutes.
STREAM_TIMEOUTS = Timeouts(connect=10, first_byte=120, between=60)
WHOLE_TIMEOUTS = Timeouts(connect=10, first_byte=600, between=60)


class _Options(msgspec.Struct):
    include_usage: bool = False


class _Asked(msgspec.Struct):
    """The fields that we look at ourselves."""

    model: str
    messages: list[msgspec.Raw]
    stream: bool | None = None
    stream_options: _Options | None = None


@dataclass(slots=True, kw_only=True)
class Meter:
    """Measures one call and writes it down once."""

    actor: Actor
    choice: Choice
    calls: Calls
    started: float = field(default_factory=clock.monotonic)
    first_token: float | None = None

    def token(self) -> None:
        if self.first_token is None:
            self.first_token = clock.monotonic()

    def finish(self, outcome: str, usage: Usage) -> None:
        first = self.first_token
        self.calls.add(
            ModelCall(
                id=ids.new_id(),
                user_id=self.actor.user_id,
                task_id=self.actor.task_id,
                epoch=self.actor.epoch,
                provider_id=self.choice.target.id,
                provider=self.choice.target.name,
                model=self.choice.model[:200].replace("\0", ""),
                prompt_tokens=usage.prompt_tokens,
                completion_tokens=usage.completion_tokens,
                first_token_ms=None if first is None else (first - self.started) * 1000,
                duration_ms=(clock.monotonic() - self.started) * 1000,
                outcome=outcome,
                created_at=clock.now(),
            )
        )


class Completions:
    """Answers chat completions; `stream` and `whole` differ in what they give back."""

    def __init__(self, catalog: Catalog, egress: Egress, calls: Calls) -> None:
        self._catalog = catalog
        self._egress = egress
        self._calls = calls
        # Servers that refused `stream_options`; they are few, and forgotten at the next start.
        self._without_usage: set[str] = set()
        self.stream_timeouts = STREAM_TIMEOUTS
        self.whole_timeouts = WHOLE_TIMEOUTS

    async def prepare(self, body: bytes) -> tuple[Choice, ChatRequest]:
        """Reads a request; raises InvalidInput, ModelNotFound or NoDefaultModel."""
        fields, asked = parse(body)
        choice = (await self._catalog.current()).choose(asked.model)
        wants_usage = asked.stream_options is not None and asked.stream_options.include_usage
        chat = ChatRequest(
            fields=fields, model=choice.model, stream=bool(asked.stream), wants_usage=wants_usage
        )
        return choice, chat

    async def whole(self, actor: Actor, choice: Choice, chat: ChatRequest) -> bytes:
        """The complete answer; raises what the provider failed with."""
        meter = Meter(actor=actor, choice=choice, calls=self._calls)
        wire = self._wire(choice)
        outcome, usage = "cancelled", Usage()
        try:
            out = wire.request(choice.target, chat)
            reply = await upstream.post(self._egress, wire, out, timeouts=self.whole_timeouts)
            async with reply:
                answer, usage = wire.answer(await reply.read(MAX_ANSWER_BYTES))
            meter.token()
            outcome = "succeeded"
        except OrchestraError as error:
            outcome = error.code
            raise
        finally:
            meter.finish(outcome, usage)
        return answer

    async def stream(self, actor: Actor, choice: Choice, chat: ChatRequest) -> AsyncIterator[bytes]:
        """Events once the provider has begun to answer; raises what it failed with before that."""
        meter = Meter(actor=actor, choice=choice, calls=self._calls)
        outcome = "cancelled"
        try:
            reply, reader, first = await self._begin(choice, chat)
            outcome = ""
        except OrchestraError as error:
            outcome = error.code
            raise
        finally:
            if outcome:
                meter.finish(outcome, Usage())
        return _relay(reply, reader, first, meter=meter)

    async def _begin(self, choice: Choice, chat: ChatRequest) -> tuple[Reply, StreamReader, bytes]:
        wire = self._wire(choice)
        try:
            return await self._first_chunk(wire, choice, chat)
        except RequestRefused as error:
            if "stream_options" not in error.message or chat.wants_usage:
                raise
            log.warning("a provider does not know stream_options", provider=choice.target.name)
            self._without_usage.add(choice.target.name)
        return await self._first_chunk(self._wire(choice), choice, chat)

    async def _first_chunk(
        self, wire: Wire, choice: Choice, chat: ChatRequest
    ) -> tuple[Reply, StreamReader, bytes]:
        """Waits for the first byte: until it comes a broken connection can be tried once more."""
        out = wire.request(choice.target, chat)
        for is_last in (False, True):
            reply = await upstream.post(self._egress, wire, out, timeouts=self.stream_timeouts)
            first = b""
            try:
                first = await reply.next_chunk(self.stream_timeouts.first_byte)
            except Unreachable:
                if is_last:
                    raise
            finally:
                if not first:
                    await reply.__aexit__(None, None, None)
            if first:
                return reply, wire.reader(chat), first
        raise StreamBroken("The provider's answer was empty.")

    def _wire(self, choice: Choice) -> Wire:
        target = choice.target
        if target.kind is ProviderKind.OPENAI and target.name in self._without_usage:
            return OpenAIWire(asks_for_usage=False)
        return upstream.WIRES[target.kind]


def parse(body: bytes) -> tuple[Fields, _Asked]:
    """The request's fields, unparsed, and those that we look at; raises InvalidInput."""
    try:
        asked = msgspec.json.decode(body, type=_Asked)
        return msgspec.json.decode(body, type=Fields), asked
    except (msgspec.MsgspecError, RecursionError) as error:
        path = str(error).rpartition("`$.")[2].rstrip("`") if "`$." in str(error) else "body"
        raise InvalidInput(
            f"The request is not a chat completion: {error}",
            fields=[FieldError(path, str(error))],
        ) from error


async def _relay(
    reply: Reply, reader: StreamReader, first: bytes, *, meter: Meter
) -> AsyncIterator[bytes]:
    """Passes on what comes. What breaks off later than the head is told inside the stream."""
    outcome = "cancelled"
    try:
        async with reply:
            if events := reader.feed(first):
                meter.token()
                yield events
            async for chunk in reply.chunks():
                if events := reader.feed(chunk):
                    meter.token()
                    yield events
            if events := reader.end():
                yield events
        outcome = "succeeded"
    except OrchestraError as error:
        outcome = error.code
        yield b"data: " + msgspec.json.encode(error_body(error)) + b"\n\n"
    finally:
        meter.finish(outcome, reader.usage)


def error_body(error: OrchestraError) -> dict[str, dict[str, str | None]]:
    """An error as OpenAI's clients expect it."""
    code, parameter = error.code, getattr(error, "parameter", None)
    kind = _kind(error.status)
    if isinstance(error, RequestRefused):
        kind, code = error.kind or kind, error.provider_code or code
    if parameter is None and error.fields:
        parameter = error.fields[0].field
    return {"error": {"message": error.message, "type": kind, "code": code, "param": parameter}}


def _kind(status: int) -> str:
    if status == 401:
        return "authentication_error"
    if status == 403:
        return "permission_error"
    if status == 429:
        return "rate_limit_error"
    return "invalid_request_error" if status < 500 else "server_error"
