"""The gateway: one address, three versions of HTTP, and no belief in what clients claim."""

import json
import ssl
import subprocess
import sys
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from orchestra.engines import binaries, certificates, envoy
from orchestra.engines.address import Address, accepts, answers, loopback
from orchestra.engines.envoy import limits
from orchestra.engines.process import Command, free_port
from orchestra.engines.testing import Running, wait_until
from orchestra.foundation import clock

BACKEND = Path(__file__).with_name("gateway_backend.py")
LIMIT = 100_000
SIGN_INS, SUBMITS = 6, 5


@dataclass(frozen=True)
class Gateway:
    """A running gateway before a running backend."""

    plan: envoy.Plan
    backend: Running

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.plan.http.port}"

    @property
    def https(self) -> str:
        return f"https://localhost:{self.plan.https.port}"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gw")


@pytest.fixture(scope="module")
def gateway(directory: Path) -> Generator[Gateway]:
    plan = _plan(directory)
    api = Address(f"unix:{directory}/api.sock")
    with (
        _running(_backend(api), directory / "api.log", lambda: accepts(api)) as backend,
        _gateway(directory, plan),
    ):
        assert wait_until(lambda: answers(loopback(plan.http.port), path="/ready"), seconds=10)
        yield Gateway(plan, backend)


def test_envoy_accepts_the_configuration(directory: Path) -> None:
    prepared = envoy.prepare(directory / "validated", _plan(directory))
    result = subprocess.run(prepared.argv("validate"), capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "eprecated" not in result.stderr


def test_what_is_asked_over_http_1_reaches_the_api_over_http_2(gateway: Gateway) -> None:
    seen = httpx.get(f"{gateway.http}/api/me").raise_for_status().json()
    assert (seen["path"], seen["http"]) == ("/api/me", "2")


def test_https_answers_with_the_certificate_and_offers_http_3(gateway: Gateway) -> None:
    trusted = ssl.create_default_context(cafile=gateway.plan.certificate.chain)
    answer = httpx.get(f"{gateway.https}/x", verify=trusted).raise_for_status()
    assert answer.headers["alt-svc"].startswith(f'h3=":{gateway.plan.https.port}"')


def test_http_3_answers(gateway: Gateway, directory: Path) -> None:
    """Envoy itself is the client here: a second one, which speaks HTTP/3 only."""
    port = free_port()
    config = directory / "h3-client.yaml"
    config.write_text(yaml.dump(_http3_client(port, gateway.plan)))
    argv = (str(binaries.envoy()), "-c", str(config), "--disable-hot-restart", "--concurrency", "1")
    client = Command(argv=argv, directory=directory)
    with _running(client, directory / "h3.log", lambda: accepts(loopback(port))):
        url = f"http://127.0.0.1:{port}/over-http-3"
        assert wait_until(lambda: httpx.get(url).status_code == 200, seconds=5)
        assert httpx.get(url).json()["path"] == "/over-http-3"


def test_an_agents_path_goes_to_the_control_plane(gateway: Gateway) -> None:
    """Nobody listens there in this test, which the gateway says as gRPC."""
    url = f"{gateway.http}/ai_orchestra.v2.ModernAgentService/StreamHeartbeat"
    answer = httpx.post(url, headers={"content-type": "application/grpc"}, timeout=10)
    assert answer.headers["grpc-status"] == "14"
    assert "{" not in answer.headers["grpc-message"]


@pytest.mark.parametrize(
    "name",
    ["forwarded", "x-forwarded-host", "x-real-ip", "x-envoy-max-retries", "x-envoy-original-path"],
)
def test_a_client_cannot_speak_for_the_gateway(gateway: Gateway, name: str) -> None:
    assert name not in _headers_seen(gateway, {name: "6.6.6.6"})


def test_the_client_is_who_connected(gateway: Gateway) -> None:
    claimed = {"x-forwarded-for": "6.6.6.6", "x-envoy-external-address": "6.6.6.6"}
    seen = _headers_seen(gateway, claimed)
    assert seen["x-envoy-external-address"] == "127.0.0.1"
    assert "6.6.6.6" not in json.dumps(seen)


def test_every_request_gets_an_id_of_ours(gateway: Gateway) -> None:
    seen = _headers_seen(gateway, {"x-request-id": "chosen-by-the-client"})
    assert len(seen["x-request-id"]) == 36


def test_text_is_compressed_and_feeds_are_not(gateway: Gateway) -> None:
    wanted = {"accept-encoding": "gzip"}
    assert httpx.get(f"{gateway.http}/big", headers=wanted).headers["content-encoding"] == "gzip"
    feed = httpx.get(f"{gateway.http}/api/events/stream", headers=wanted)
    assert "content-encoding" not in feed.headers


def test_a_feed_arrives_as_it_is_written(gateway: Gateway) -> None:
    with httpx.stream("GET", f"{gateway.http}/api/events/stream") as feed:
        times = [clock.monotonic() for _ in feed.iter_raw()]
    assert len(times) == 3
    assert times[-1] - times[0] > 0.3


def test_a_request_that_is_too_large_is_refused_as_a_problem(gateway: Gateway) -> None:
    answer = httpx.post(f"{gateway.http}/api/tasks", content=b"x" * (LIMIT + 1))
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == 413


def test_a_short_restart_of_the_api_is_a_wait_and_no_error(gateway: Gateway) -> None:
    gateway.backend.kill()
    with ThreadPoolExecutor(max_workers=1) as patient:
        answer = patient.submit(httpx.get, f"{gateway.http}/x", timeout=10)
        gateway.backend.start()
        assert answer.result(timeout=10).status_code == 200


def test_an_api_that_is_away_is_a_problem_that_says_when_to_come_back(gateway: Gateway) -> None:
    gateway.backend.kill()
    answer = httpx.get(f"{gateway.http}/x", timeout=15)
    gateway.backend.start()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert answer.json()["code"] == "unavailable"


def test_one_client_signs_in_only_so_often_and_hinders_no_other(gateway: Gateway) -> None:
    login = f"{gateway.http}/api/auth/login"
    with _client("127.0.0.2") as eager, _client("127.0.0.3") as calm:
        allowed = [eager.post(login, json={}).status_code for _ in range(SIGN_INS)]
        refused = eager.post(f"{gateway.http}/api/auth/setup", json={})
        assert calm.post(login, json={}).status_code == 200
        assert eager.get(f"{gateway.http}/api/me").status_code == 200
    assert allowed == [200] * SIGN_INS
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "10")
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["code"] == "rate_limited"


def test_submits_are_counted_together_and_go_on_in_a_moment(gateway: Gateway) -> None:
    paths = ("/api/tasks", "/api/tasks/batch", "/api/conversations/1/messages")
    with _client("127.0.0.4") as eager:

        def submit(path: str) -> httpx.Response:
            return eager.post(f"{gateway.http}{path}", json={})

        refused = next(answer for path in paths * 20 if (answer := submit(path)).status_code != 200)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert eager.get(f"{gateway.http}/api/tasks").status_code == 200
        assert wait_until(lambda: submit("/api/tasks").status_code == 200, seconds=5)


def test_an_agent_that_submits_too_often_is_told_so_in_its_own_language(gateway: Gateway) -> None:
    url = f"{gateway.http}/ai_orchestra.v2.ModernAgentService/AssignTask"
    headers = {"content-type": "application/grpc"}
    with _client("127.0.0.5") as eager, ThreadPoolExecutor(max_workers=20) as many:
        asked = [many.submit(eager.post, url, headers=headers) for _ in range(4 * SUBMITS)]
        statuses = [answer.result(timeout=15).headers["grpc-status"] for answer in asked]
    assert "8" in statuses, "RESOURCE_EXHAUSTED"


def _client(address: str) -> httpx.Client:
    """Somebody who connects from there: all of 127.0.0.0/8 is this machine."""
    return httpx.Client(transport=httpx.HTTPTransport(local_address=address), timeout=15)


def _headers_seen(gateway: Gateway, headers: dict[str, str]) -> dict[str, str]:
    return httpx.get(f"{gateway.http}/x", headers=headers).raise_for_status().json()["headers"]


def _plan(directory: Path) -> envoy.Plan:
    return envoy.Plan(
        http=envoy.Door("127.0.0.1", free_port()),
        https=envoy.Door("127.0.0.1", free_port()),
        api=Address(f"unix:{directory}/api.sock"),
        control_planes=(
            Address(f"unix:{directory}/control-plane-1.sock"),
            Address(f"unix:{directory}/control-plane-2.sock"),
        ),
        certificate=certificates.prepare(directory / "certs"),
        admin_socket=directory / "admin.sock",
        access_log=directory / "logs" / "access.log",
        max_request_bytes=LIMIT,
        workers=2,
        sign_ins=limits.sign_in(per_minute=SIGN_INS),
        submits=limits.submit(per_second=SUBMITS),
    )


def _backend(address: Address) -> Command:
    server = (
        "-m",
        "granian",
        "--interface",
        "asginl",
        "--no-ws",
        "--uds",
        str(address.socket_path),
    )
    return Command(
        argv=(sys.executable, *server, "gateway_backend:app"),
        directory=BACKEND.parent,
        sockets=address.socket_files,
    )


@contextmanager
def _gateway(directory: Path, plan: envoy.Plan) -> Generator[Running]:
    prepared = envoy.prepare(directory / "envoy", plan)
    with _running(prepared.command(), directory / "envoy.log", prepared.is_ready) as process:
        yield process


@contextmanager
def _running(command: Command, log: Path, is_ready: Any) -> Generator[Running]:
    process = Running(command, log=log, is_ready=lambda _: is_ready())
    try:
        process.start()
        yield process
    finally:
        process.stop()


def _http3_client(port: int, plan: envoy.Plan) -> dict[str, Any]:
    options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    quic = "envoy.extensions.transport_sockets.quic.v3.QuicUpstreamTransport"
    manager = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    router = "envoy.extensions.filters.http.router.v3.Router"
    trust = {"trusted_ca": {"filename": str(plan.certificate.chain)}}
    tls = {"common_tls_context": {"validation_context": trust}, "sni": "localhost"}
    routes = [{"match": {"prefix": "/"}, "route": {"cluster": "h3"}}]
    manager_config = {
        "@type": f"type.googleapis.com/{manager}",
        "stat_prefix": "h3",
        "route_config": {"virtual_hosts": [{"name": "a", "domains": ["*"], "routes": routes}]},
        "http_filters": [
            {"name": "router", "typed_config": {"@type": f"type.googleapis.com/{router}"}}
        ],
    }
    cluster: dict[str, Any] = {
        "name": "h3",
        "type": "STATIC",
        "load_assignment": _endpoint("h3", plan.https.port),
        "transport_socket": {
            "name": "envoy.transport_sockets.quic",
            "typed_config": {"@type": f"type.googleapis.com/{quic}", "upstream_tls_context": tls},
        },
        "typed_extension_protocol_options": {
            options: {
                "@type": f"type.googleapis.com/{options}",
                "explicit_http_config": {"http3_protocol_options": {}},
            }
        },
    }
    listener = {
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager_config}]}],
    }
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def _endpoint(name: str, port: int) -> dict[str, Any]:
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    return {
        "cluster_name": name,
        "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
    }
