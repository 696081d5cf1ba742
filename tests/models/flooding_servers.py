"""A server on a local port that sends without end in the requested way, without using memory for what it sends."""

from __future__ import annotations

import contextlib
import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

MOST_SENT = 600 << 20
"""A client that takes all of it has no bound."""

_BLOCK = 1 << 16


@dataclass
class Flood:
    """How the next requests are answered, and how much of it was taken."""

    kind: str = ""
    listing: str = ""
    """How requests for the list of models are answered; empty: as they should be."""
    url: str = ""
    sent: int = 0


def _repeated(piece: bytes, begin: bytes = b"") -> Iterator[bytes]:
    yield begin
    block = piece * max(1, _BLOCK // len(piece))
    while True:
        yield block


def _bomb(piece: bytes) -> Iterator[bytes]:
    """What unpacks to a thousand times its size."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    while True:
        if packed := packer.compress(piece * (1 << 20 if len(piece) == 1 else 1 << 14)):
            yield packed


def _chunk(delta: object) -> bytes:
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": delta}]}).encode() + b"\n\n"


_STREAM = "Content-Type: text/event-stream\r\n"
_CALL = {"tool_calls": [{"index": 0, "id": "1", "function": {"name": "pyexe", "arguments": ""}}]}
_MORE = {"tool_calls": [{"index": 0, "function": {"arguments": "x" * 4000}}]}

KINDS: dict[str, tuple[int, str, Callable[[], Iterator[bytes]]]] = {
    "no newline": (200, _STREAM, lambda: _repeated(b"x", b"data: ")),
    "data without an event's end": (200, _STREAM, lambda: _repeated(b"data: " + b"x" * 1000 + b"\n")),
    "comments": (200, _STREAM, lambda: _repeated(b": wait\n\n")),
    "empty lines": (200, _STREAM, lambda: _repeated(b"\n")),
    "empty chunks": (200, _STREAM, lambda: _repeated(_chunk({}))),
    "text": (
        200,
        _STREAM,
        lambda: (_chunk({"content": " ".join(map(str, range(n, n + 99)))}) for n in range(0, 10**12, 99)),
    ),
    "a call": (200, _STREAM, lambda: _repeated(_chunk(_MORE), _chunk(_CALL))),
    "calls": (
        200,
        _STREAM,
        lambda: (_chunk({"tool_calls": [{"index": n, "function": {"name": "x" * 9000}}]}) for n in range(10**9)),
    ),
    "a gzip bomb": (200, _STREAM + "Content-Encoding: gzip\r\n", lambda: _bomb(b"0")),
    "a gzip bomb of lines": (200, _STREAM + "Content-Encoding: gzip\r\n", lambda: _bomb(_chunk({"content": "a"}))),
    "a refusal": (400, "", lambda: _repeated(b"no ")),
    "a refusal that unpacks": (400, "Content-Encoding: gzip\r\n", lambda: _bomb(b"0")),
    "a list": (200, "", lambda: _repeated(b'{"id": "m"}, ', b'{"data": [')),
    "a nested list": (200, "", lambda: iter([b"[" * 1_000_000])),
    "a nested event": (200, _STREAM, lambda: iter([b'data: {"choices":' + b"[" * 1_000_000 + b"\n\n"])),
    "headers": (200, "", lambda: iter(())),
    "informational answers": (200, "", lambda: iter(())),
    "redirects with bodies": (302, "Location: /elsewhere\r\n", lambda: _repeated(b"x")),
}
"""What comes: the status, more headers, and the content."""


@contextmanager
def flooding() -> Iterator[Flood]:
    """The server, at `url`."""
    flood = Flood()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(flood.kind)

        def do_GET(self) -> None:
            if flood.listing:
                self._answer(flood.listing)
                return
            content = json.dumps({"data": [{"id": "m"}]}).encode()
            self._write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content) + content)

        def _answer(self, kind: str) -> None:
            self.close_connection = True
            status, headers, content = KINDS[kind]
            head = f"HTTP/1.1 {status} X\r\nConnection: close\r\n{headers}"
            with contextlib.suppress(OSError):
                if kind == "informational answers":
                    while flood.sent < MOST_SENT:
                        self._write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 1000)
                self._write(head.encode())
                if kind == "headers":
                    while flood.sent < MOST_SENT:
                        self._write(b"X-Filler: " + b"y" * 9000 + b"\r\n")
                self._write(b"\r\n")
                for block in content():
                    self._write(block)
                    if flood.sent > MOST_SENT:
                        return

        def _write(self, content: bytes) -> None:
            self.wfile.write(content)
            flood.sent += len(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    flood.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield flood
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
