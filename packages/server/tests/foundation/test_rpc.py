"""The gRPC door: policies by method, errors as statuses."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
import pytest
from orchestra.foundation import rpc
from orchestra.foundation.auth import SYSTEM, Actor, Credential, Permission, require
from orchestra.foundation.errors import NotFound, Unauthenticated, Unavailable
from orchestra.foundation.rpc_calls import OpenCalls
from orchestra.foundation.settings import Settings
from orchestra_protocol import agent_pb2 as pb
from orchestra_protocol import agent_pb2_grpc as pb_grpc

PREFIX = "/ai_orchestra.v2.ModernAgentService/"
GOOD = (("authorization", "Bearer good"),)


class OneKey:
    async def authenticate(self, credential: Credential) -> Actor:
        if credential.bearer != "good":
            raise Unauthenticated
        return SYSTEM


class Service(pb_grpc.ModernAgentServiceServicer):
    """Answers with who calls, or fails as the name asks."""

    async def RegisterAgent(  # noqa: N802 - named by the proto
        self, request: pb.RegisterAgentRequest, context: Any
    ) -> pb.RegisterAgentResponse:
        failures: dict[str, Exception] = {
            "absent": NotFound(),
            "away": Unavailable(retry_after=2.5),
            "bug": ValueError("a secret detail"),
        }
        if request.name in failures:
            raise failures[request.name]
        return pb.RegisterAgentResponse(agent_id=rpc.current_actor().name)

    async def ListAgents(  # noqa: N802 - named by the proto
        self, request: pb.ListAgentsRequest, context: Any
    ) -> AsyncIterator[pb.Agent]:
        yield pb.Agent(name=rpc.current_actor().name)
        if request.watch:
            await asyncio.Event().wait()
        raise NotFound

    async def GetRealTimeMetrics(  # noqa: N802 - named by the proto
        self, request: Any, context: Any
    ) -> AsyncIterator[Any]:
        yield pb.MetricsSnapshot()


def on_server(test: Callable[[Any], Awaitable[None]], calls: OpenCalls | None = None) -> None:
    async def body() -> None:
        policies = {
            f"{PREFIX}RegisterAgent": require(Permission.AGENTS_CONNECT),
            f"{PREFIX}ListAgents": require(Permission.AGENTS_READ),
        }
        server = rpc.create_server(
            Settings(), authenticator=OneKey(), policies=policies, calls=calls or OpenCalls()
        )
        pb_grpc.add_ModernAgentServiceServicer_to_server(Service(), server)  # pyright: ignore[reportAbstractUsage] - the rest stays unimplemented
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            await test(pb_grpc.ModernAgentServiceStub(channel))  # type: ignore[arg-type]
        await server.stop(None)

    asyncio.run(body())


async def status_of(call: Awaitable[Any]) -> tuple[grpc.StatusCode, str, dict[str, Any]]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), caught.value.details() or "", dict(caught.value.trailing_metadata())


def test_the_caller_is_known_inside_of_unary_and_streaming_rpcs() -> None:
    async def test(stub: Any) -> None:
        assert (
            await stub.RegisterAgent(pb.RegisterAgentRequest(), metadata=GOOD)
        ).agent_id == "system"
        call = stub.ListAgents(pb.ListAgentsRequest(), metadata=GOOD)
        assert (await call.read()).name == "system"
        code, _, trailers = await status_of(call.read())
        assert (code, trailers["orchestra-code"]) == (grpc.StatusCode.NOT_FOUND, "not_found")

    on_server(test)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("absent", grpc.StatusCode.NOT_FOUND),
        ("away", grpc.StatusCode.UNAVAILABLE),
        ("bug", grpc.StatusCode.INTERNAL),
    ],
)
def test_our_errors_become_statuses_and_others_stay_secret(
    name: str, code: grpc.StatusCode
) -> None:
    async def test(stub: Any) -> None:
        seen, details, _ = await status_of(
            stub.RegisterAgent(pb.RegisterAgentRequest(name=name), metadata=GOOD)
        )
        assert seen == code
        assert "secret" not in details

    on_server(test)


def test_no_credential_and_no_policy_are_refused() -> None:
    async def test(stub: Any) -> None:
        code, _, _ = await status_of(stub.RegisterAgent(pb.RegisterAgentRequest()))
        assert code == grpc.StatusCode.UNAUTHENTICATED
        code, details, _ = await status_of(
            stub.GetRealTimeMetrics(pb.MetricsRequest(), metadata=GOOD).read()
        )
        assert code == grpc.StatusCode.UNAUTHENTICATED
        assert "no policy" in details

    on_server(test)


def test_a_stream_that_is_silent_can_be_ended_and_says_why() -> None:
    calls = OpenCalls()

    async def test(stub: Any) -> None:
        ended = stub.ListAgents(pb.ListAgentsRequest(watch=True), metadata=GOOD)
        await ended.read()
        assert calls.actors() == [SYSTEM]
        calls.end(lambda actor: actor.name == "nobody", Unavailable())
        calls.end(lambda actor: actor is SYSTEM, Unavailable("Connect again."))
        code, details, _ = await status_of(ended.read())
        assert (code, details) == (grpc.StatusCode.UNAVAILABLE, "Connect again.")
        assert calls.actors() == []
        other = stub.ListAgents(pb.ListAgentsRequest(watch=True), metadata=GOOD)
        assert (await other.read()).name == "system", "who comes later is let in"
        other.cancel()

    on_server(test, calls)


def test_a_stream_whose_reader_is_slow_is_ended_after_what_is_on_its_way() -> None:
    async def body() -> None:
        calls, said = OpenCalls(), list[int]()

        async def stream() -> None:
            with calls.opened(SYSTEM) as call:
                for number in range(3):
                    call.is_sending = True
                    if number == 1:
                        calls.end(lambda _: True, Unavailable("Connect again."))
                    await asyncio.sleep(0)  # nothing that is being sent is cut
                    said.append(number)
                    call.sent()

        with pytest.raises(Unavailable, match="Connect again"):
            await stream()
        assert (said, calls.actors()) == ([0, 1], [])

    asyncio.run(body())


def test_a_caller_who_leaves_is_no_end_by_us() -> None:
    async def body() -> None:
        calls = OpenCalls()

        async def stream() -> None:
            with calls.opened(SYSTEM):
                await asyncio.Event().wait()

        task = asyncio.ensure_future(stream())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert calls.actors() == []

    asyncio.run(body())
