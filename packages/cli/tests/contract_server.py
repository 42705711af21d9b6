"""A small server that speaks the contract of the public API, so that each answer can be chosen."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

KEY = "ok_test.secret"

# Ids of tasks, an approval, a limit and a user.
T1, T2, T3, T4, A1, L1, U1 = (f"0190a0a0-0000-7000-8000-{number:012d}" for number in range(1, 8))


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` as JSON, or `frames` as an event stream that ends (is cut) after the last."""

    status: int = 200
    body: Any = None
    frames: Iterable[str] | None = None
    headers: dict[str, str] = field(default_factory=dict[str, str])


Responder = Callable[[Request], Answer]


@dataclass(slots=True)
class Api:
    """The server: `on` says what to answer, `requests` holds what came."""

    url: str = ""
    requests: list[Request] = field(default_factory=list[Request])
    routes: dict[tuple[str, str], Responder] = field(
        default_factory=dict[tuple[str, str], Responder]
    )

    def on(self, method: str, path: str, *answers: Answer | Responder) -> None:
        """The answers to the first, second … request for a path; the last one stays."""
        left = list(answers)

        def respond(request: Request) -> Answer:
            answer = left.pop(0) if len(left) > 1 else left[0]
            return answer if isinstance(answer, Answer) else answer(request)

        self.routes[method, path] = respond

    def sent(self, method: str, path: str) -> list[Request]:
        return [item for item in self.requests if (item.method, item.path) == (method, path)]


def frame(kind: str, content: Any, cursor: str | None = None) -> str:
    """One server-sent event."""
    head = f"id: {cursor}\n" if cursor else ""
    return f"{head}event: {kind}\ndata: {json.dumps(content)}\n\n"


@dataclass(frozen=True, slots=True)
class Ran:
    code: int
    out: str
    err: str


Run = Callable[..., Ran]


def handler(api: Api) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"

        def do_GET(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, self.path.partition("?")[0], headers, body)
            api.requests.append(request)
            self._answer(_respond(api, request))

        do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - http.server names them

        def _answer(self, answer: Answer) -> None:
            self.send_response(answer.status)
            if answer.frames is not None:
                self.send_header("content-type", "text/event-stream")
                self.end_headers()
                for item in answer.frames:
                    self.wfile.write(item.encode())
                    self.wfile.flush()
                return
            content = b"" if answer.body is None else json.dumps(answer.body).encode()
            self.send_header("content-length", str(len(content)))
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


def _respond(api: Api, request: Request) -> Answer:
    if request.headers.get("authorization") != f"Bearer {KEY}":
        return Answer(401, {"detail": "Sign in, or send a valid API key."})
    responder = api.routes.get((request.method, request.path))
    if responder is None:
        return Answer(404, {"detail": "There is nothing at this address."})
    return responder(request)
