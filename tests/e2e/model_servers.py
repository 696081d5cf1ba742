"""A model server for whole runs, in a thread: its chat API says a prepared reply, and what else it knows is given by the test."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

Answer = tuple[int, Any]
"""A status, and what is sent as JSON; a text is a reply, which is streamed."""


@dataclass
class ModelServer:
    """What it is asked at `/v1/chat/completions`, and how it answers there and elsewhere."""

    chat: Callable[[dict[str, Any]], Answer]
    native: dict[str, Any] = field(default_factory=dict)
    """Answers by path; 404 elsewhere."""
    prompt_tokens: int | None = None
    """How many tokens it says that it read."""
    asked: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    url: str = ""


@contextmanager
def serving(server: ModelServer) -> Iterator[ModelServer]:
    """The server at `url`."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _answer(self, body: Any) -> None:
            server.paths.append(self.path)
            if self.path == "/v1/chat/completions":
                server.asked.append(body)
                status, content = server.chat(body)
            else:
                status, content = (200, server.native[self.path]) if self.path in server.native else (404, {})
            self.send_response(status)
            self.send_header("Content-Type", "text/event-stream" if isinstance(content, str) else "application/json")
            self.end_headers()
            self.wfile.write(self._stream(content) if isinstance(content, str) else json.dumps(content).encode())

        def _stream(self, text: str) -> bytes:
            usage = {} if server.prompt_tokens is None else {"usage": {"prompt_tokens": server.prompt_tokens}}
            chunks = [{"choices": [{"delta": {"content": text}, "finish_reason": "stop"}]}, {"choices": [], **usage}]
            return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks).encode() + b"data: [DONE]\n\n"

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening.daemon_threads = True
    thread = Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    server.url = f"http://127.0.0.1:{listening.server_address[1]}/v1"
    try:
        yield server
    finally:
        listening.shutdown()
        thread.join()
        listening.server_close()
