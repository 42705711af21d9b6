"""Where an agent finds its control plane, and how it gets a credential of its own."""

import datetime
import hashlib
import http.server
import ipaddress
import json
import ssl
import stat
import threading
from collections.abc import Iterator
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from orchestra_protocol import agent_pb2 as pb
from orchestra_protocol.agent_pb2_grpc import ModernAgentServiceStub
from orchestra_sdk import Agent, EnrolmentFailed, LoadFailed, NotConfigured, enroll, load
from orchestra_sdk._channel import open_channel
from orchestra_sdk._target import Target, enrolled, find, seen_from_here


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the machine is seen: no variables, no home, no instance above."""
    for name in ("URL", "AGENT_KEY", "KEY_FILE", "CA_FILE", "CREDENTIALS"):
        monkeypatch.delenv(f"ORCHESTRA_{name}", raising=False)
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "work/deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work/deep")


def target(url: str | None = None, key: str | None = None) -> Target:
    return find(name="a", url=url, key=key, ca_file=None)


def instance(directory: Path, url: str, key: str) -> None:
    (directory / "keys").mkdir(parents=True)
    (directory / "keys/local.key").write_text(key + "\n")
    (directory / "runtime.json").write_text(json.dumps({"url": url}))


def test_arguments_win_over_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRA_URL", "http://env")
    monkeypatch.setenv("ORCHESTRA_AGENT_KEY", "env")
    assert target("http://given", "given") == Target(url="http://given", key="given")
    assert target() == Target(url="http://env", key="env")


def test_the_key_can_be_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from-file\n")
    monkeypatch.setenv("ORCHESTRA_URL", "http://env")
    monkeypatch.setenv("ORCHESTRA_KEY_FILE", str(tmp_path / "key"))
    assert target().key == "from-file"


def test_an_instance_is_found_upwards_and_before_the_one_at_home(tmp_path: Path) -> None:
    with pytest.raises(NotConfigured, match="orchestra up"):
        target()
    instance(tmp_path / "home/.local/share/ai-orchestra", "http://home", "home")
    assert target() == Target(url="http://home", key="home")
    instance(tmp_path / "work/.orchestra", "http://near", "near")
    assert target() == Target(url="http://near", key="near")


@pytest.mark.parametrize(
    ("url", "reached", "seen"),
    [
        ("http://localhost:8080/v1", "https://far:8443", "https://far:8443/v1"),
        ("http://127.0.0.1:8080/v1", "grpcs://far", "https://far/v1"),
        ("http://localhost:8080/v1", "http://127.0.0.1:8080", "http://localhost:8080/v1"),
        ("http://localhost:8080/v1", "unix:/run/s.sock", "http://localhost:8080/v1"),
        ("https://model.example/v1", "https://far:8443", "https://model.example/v1"),
        ("", "https://far:8443", ""),
    ],
)
def test_an_instance_that_calls_itself_localhost_is_where_it_was_found(
    url: str, reached: str, seen: str
) -> None:
    assert seen_from_here(url, reached) == seen


def test_a_file_with_one_agent_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "words.py").write_text("GREETING = 'hello'\n")
    file = tmp_path / "my_agent.py"
    text = "from orchestra_sdk import Agent\nfrom words import GREETING\nagent = Agent(GREETING)\n"
    file.write_text(text + "if __name__ == '__main__':\n    agent.run()\n")
    assert load(file).name == "hello"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it holds 0"),
        ("from orchestra_sdk import Agent\na = Agent('a')\nb = Agent('b')\n", "it holds 2"),
        ("import nothing_of_this_name\n", "cannot be imported: ModuleNotFoundError"),
    ],
)
def test_a_file_without_one_agent_says_why(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "wrong.py"
    file.write_text(text)
    with pytest.raises(LoadFailed, match=said):
        load(file)


@dataclass(frozen=True)
class Certificate:
    pem: bytes
    key: bytes

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(self.pem.decode())).hexdigest()


def self_signed() -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "orchestra.local")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.2"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("orchestra.local"), address]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return Certificate(certificate.public_bytes(serialization.Encoding.PEM), private)


class Enrolment(http.server.BaseHTTPRequestHandler):
    """Answers as `POST /api/agents/enrol` does."""

    asked: list[Any] = []  # noqa: RUF012 - one per test, replaced by the fixture
    grpc_url = ""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append((self.path, body))
        if body["token"] == "used":
            self._answer(401, {"title": "Refused", "detail": "the token was used before"})
        else:
            answer = {"agent_key": "agent-key", "grpc_url": self.grpc_url, "model_base_url": ""}
            self._answer(200, answer)

    def _answer(self, status: int, body: Any) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None: ...


@dataclass(frozen=True)
class Instance:
    url: str
    certificate: Certificate
    enrolment: type[Enrolment]
    calls: list[str]


@pytest.fixture
def tls_instance(tmp_path: Path) -> Iterator[Instance]:
    """An HTTPS endpoint for enrolment and a gRPC one for the agent, with one own certificate."""
    certificate = self_signed()
    (tmp_path / "cert.pem").write_bytes(certificate.pem)
    (tmp_path / "key.pem").write_bytes(certificate.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    server = grpc.server(futures.ThreadPoolExecutor(2))
    calls: list[str] = []
    server.add_generic_rpc_handlers((registration(calls),))
    credentials = grpc.ssl_server_credentials([(certificate.key, certificate.pem)])
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    handler = type(
        "OneEnrolment", (Enrolment,), {"asked": [], "grpc_url": f"https://127.0.0.1:{port}"}
    )
    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    web.socket = context.wrap_socket(web.socket, server_side=True)
    thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield Instance(f"https://127.0.0.1:{web.server_address[1]}", certificate, handler, calls)
    web.shutdown()
    thread.join()
    web.server_close()
    server.stop(None).wait(10)


def test_a_socket_path_is_an_address(tmp_path: Path) -> None:
    server = grpc.server(futures.ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers((registration([]),))
    server.add_insecure_port(f"unix:{tmp_path}/s.sock")
    server.start()
    for url in (f"unix:{tmp_path}/s.sock", f"unix://{tmp_path}/s.sock"):
        assert register_with(Target(url=url, key="k")) == "a1"
    server.stop(None).wait(10)


def registration(calls: list[str]) -> grpc.GenericRpcHandler:
    """Serve RegisterAgent alone, and remember the credentials that came."""

    def register(request: pb.RegisterAgentRequest, context: Any) -> pb.RegisterAgentResponse:
        calls.append(dict(context.invocation_metadata())["authorization"])
        return pb.RegisterAgentResponse(agent_id="a1")

    method = grpc.unary_unary_rpc_method_handler(
        register,
        request_deserializer=pb.RegisterAgentRequest.FromString,
        response_serializer=pb.RegisterAgentResponse.SerializeToString,
    )
    service = "ai_orchestra.v2.ModernAgentService"
    return grpc.method_handlers_generic_handler(service, {"RegisterAgent": method})


def register_with(found: Target) -> str:
    with open_channel(found) as channel:
        answer = ModernAgentServiceStub(channel).RegisterAgent(
            pb.RegisterAgentRequest(name="a"),
            metadata=(("authorization", f"Bearer {found.key}"),),
            timeout=5,
        )
    return answer.agent_id


def test_an_enrolled_agent_trusts_the_certificate_of_its_token(
    tls_instance: Instance, tmp_path: Path
) -> None:
    token = f"secret.sha256-{tls_instance.certificate.fingerprint}"
    path = enroll(tls_instance.url, token, name="a", directory=tmp_path / "agents")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert tls_instance.enrolment.asked == [("/api/agents/enrol", {"token": "secret", "name": "a"})]
    found = enrolled(tmp_path / "agents", "a")
    assert found is not None
    assert register_with(found) == "a1"  # although the certificate is for another name
    assert tls_instance.calls == ["Bearer agent-key"]


def test_another_certificate_than_the_tokens_is_refused_before_the_token_is_sent(
    tls_instance: Instance, tmp_path: Path
) -> None:
    with pytest.raises(EnrolmentFailed, match="another certificate"):
        enroll(tls_instance.url, "secret.sha256-" + "0" * 64, name="a", directory=tmp_path)
    assert tls_instance.enrolment.asked == []


def test_a_certificate_that_nobody_vouches_for_is_refused(
    tls_instance: Instance, tmp_path: Path
) -> None:
    with pytest.raises(EnrolmentFailed, match="certificate"):
        enroll(tls_instance.url, "secret", name="a", directory=tmp_path)
    found = Target(url=tls_instance.enrolment.grpc_url, key="k")
    with pytest.raises(grpc.RpcError):
        register_with(found)
    assert tls_instance.calls == []


def test_a_refusal_of_the_instance_is_told_in_its_words(
    tls_instance: Instance, tmp_path: Path
) -> None:
    token = f"used.sha256-{tls_instance.certificate.fingerprint}"
    with pytest.raises(EnrolmentFailed, match="the token was used before"):
        enroll(tls_instance.url, token, name="a", directory=tmp_path)


def test_a_wrong_name_or_number_of_slots_or_backlog_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="1 to 100 characters"):
        Agent("")
    with pytest.raises(ValueError, match="between 1 and 1000"):
        Agent("a", slots=0)
    with pytest.raises(ValueError, match="between 0 and 256"):
        Agent("a", backlog=-1)


def test_a_name_never_leaves_its_directory(tmp_path: Path) -> None:
    assert enrolled(tmp_path / "agents", "../../etc/passwd") is None
