"""A provider of language models in OpenAI's wire format, that is busy, hangs, stalls or breaks off.

It answers by repeating the question word by word, so that everybody can tell a whole answer.
"""

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WELL, TROUBLES = "well", ("busy", "hangs", "stalls", "cuts")
MODEL = "echo"
WORD_SECONDS = 0.03
HANG_SECONDS = 120.0


class Provider:
    """Serves from `start` to `stop`; `mood` is how it answers what begins from now on."""

    def __init__(self) -> None:
        self.mood = WELL
        self.calls: dict[str, int] = {}  # by mood
        self.stopped = threading.Event()
        handler = type("Handler", (_Handler,), {"provider": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    provider: Provider

    def do_GET(self) -> None:
        self._json(200, {"object": "list", "data": [{"id": MODEL, "object": "model"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        mood = self.provider.mood
        self.provider.calls[mood] = self.provider.calls.get(mood, 0) + 1
        if mood == "busy":
            error = {"message": "Too many requests.", "type": "rate_limit", "code": None}
            self._json(429, {"error": error}, retry_after="1")
        elif mood == "hangs":
            self.provider.stopped.wait(HANG_SECONDS)
            self.close_connection = True
        else:
            self._stream(body["messages"][-1]["content"], mood)

    def _stream(self, question: str, mood: str) -> None:
        words = [f"{word} " for word in question.split(" ")]
        words[-1] = words[-1].rstrip()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for place, word in enumerate(words):
            if mood in ("stalls", "cuts") and place == len(words) // 2:
                self._break_off(mood)
                return
            self._event({"choices": [_choice({"content": word}, None)]})
            self.provider.stopped.wait(WORD_SECONDS)
        self._event({"choices": [_choice({}, "stop")]})
        usage = {"prompt_tokens": 12, "completion_tokens": 12, "total_tokens": 24}
        self._event({"choices": [], "usage": usage})
        self._send(b"data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def _break_off(self, mood: str) -> None:
        if mood == "stalls":
            self.provider.stopped.wait(HANG_SECONDS)
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _event(self, fields: dict[str, Any]) -> None:
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": MODEL}
        self._send(f"data: {json.dumps({**head, **fields})}\n\n".encode())

    def _send(self, piece: bytes) -> None:
        self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        self.wfile.flush()

    def _json(self, status: int, value: Any, *, retry_after: str = "") -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        if retry_after:
            self.send_header("retry-after", retry_after)
        self.end_headers()
        self.wfile.write(body)

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except OSError:  # whoever asked has gone
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


def _choice(delta: dict[str, str], finish: str | None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": finish}
