"""A small Hugging Face on a local port, with the requested faults; and a model server that only lists its models."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any


@dataclass
class Hub:
    """What the server has, how it behaves, and what it was asked."""

    files: dict[str, bytes] = field(default_factory=dict)
    """By path; all of the repository `owner/model`."""
    sizes: dict[str, int] = field(default_factory=dict)
    """Sizes that are told instead of the true ones."""
    hashes: dict[str, str] = field(default_factory=dict)
    status: int = 200
    """What every request is answered with, if not 200."""
    break_after: list[int] = field(default_factory=list)
    """After how many bytes the next transfers break off, one each."""
    holds: bool = False
    """Whether only half of a file is sent, and nothing more before the server ends."""
    is_holding: Event = field(default_factory=Event)
    ends: Event = field(default_factory=Event)
    takes_ranges: bool = True
    answers: bytes | None = None
    """An answer to every request."""
    url: str = ""
    asked: list[tuple[str, str | None, str | None]] = field(default_factory=list)
    """Path, `Range` and `Authorization` of each request."""

    def tree(self) -> list[dict[str, Any]]:
        return [{"type": "directory", "path": "folder", "size": 0, "oid": "x"}] + [
            {
                "type": "file",
                "path": path,
                "oid": "0" * 40,
                "size": self.sizes.get(path, len(content)),
                "lfs": {"oid": self.hashes.get(path, hashlib.sha256(content).hexdigest())},
            }
            for path, content in self.files.items()
        ]


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """The hub, reachable at `hub.url`."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            hub.asked.append((path, self.headers["Range"], self.headers["Authorization"]))
            if hub.answers is not None:
                self._send(200, hub.answers)
            elif hub.status != 200:
                self._send(hub.status, b"no")
            elif path == "/api/models/owner/model/tree/main":
                self._send(200, json.dumps(hub.tree()).encode())
            elif path.startswith("/owner/model/resolve/main/"):
                # The files themselves come from elsewhere, as they do there.
                self.send_response(302)
                self.send_header("Location", path.replace("/owner/model/resolve/main/", "/storage/"))
                self.send_header("Content-Length", "0")
                self.end_headers()
            elif path.removeprefix("/storage/") in hub.files:
                self._send_file(hub.files[path.removeprefix("/storage/")])
            else:
                self._send(404, b"no")

        def _send(self, status: int, content: bytes, **headers: str) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            is_file = self.path.startswith("/storage/")
            if hub.holds and is_file:
                self.wfile.write(content[: len(content) // 2])
                hub.is_holding.set()
                hub.ends.wait(60)
                return
            self.wfile.write(content[: hub.break_after.pop(0)] if hub.break_after and is_file else content)
            self.close_connection = True

        def _send_file(self, content: bytes) -> None:
            wanted = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
            if wanted is None or not hub.takes_ranges:
                self._send(200, content)
                return
            start = int(wanted[1])
            self._send(206, content[start:], Content_Range=f"bytes {start}-{len(content) - 1}/{len(content)}")

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield hub
    finally:
        hub.ends.set()
        server.shutdown()
        thread.join()
        server.server_close()
