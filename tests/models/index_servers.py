"""A package index on a local port, as pages (PEP 503) or as JSON (PEP 691), with the requested faults."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

ENDLESS_BYTES = 1 << 30
PAGE, JSON = "text/html", "application/vnd.pypi.simple.v1+json"


@dataclass
class PackageIndex:
    """What the index has, how it behaves, and what it was asked for."""

    files: dict[str, bytes | None] = field(default_factory=dict)
    """By name; None: one without end."""
    cut_short: dict[str, int] = field(default_factory=dict)
    """Files of which only so many bytes come, though more are announced."""
    held: str | None = None
    """A file of which half is sent, and the rest when `let_go` is set."""
    let_go: threading.Event = field(default_factory=threading.Event)
    kind: str = PAGE
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def listing(self, project: str) -> bytes:
        """What the index says of a project."""
        names = [name for name in self.files if normal(name).startswith(f"{project}-1.0")]
        if self.kind == PAGE:
            links = "".join(f'<a href="/files/{name}">{name}</a>' for name in names)
            return f"<!DOCTYPE html><html><body>{links}</body></html>".encode()
        files = [{"filename": name, "url": f"/files/{name}", "hashes": {}} for name in names]
        return json.dumps({"meta": {"api-version": "1.0"}, "name": project, "files": files}).encode()


def normal(name: str) -> str:
    """A project's or file's name as an index writes those of projects."""
    return name.replace("_", "-").lower()


def environment(url: str) -> dict[str, str]:
    """The environment with this index as the only place where pip looks."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    return {**kept, "PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": url}


@contextmanager
def indexing(index: PackageIndex) -> Iterator[PackageIndex]:
    """The index, reachable at `index.url`."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            index.asked.append(self.path)
            name = self.path.rsplit("/", 1)[-1]
            if name in index.files:
                self._send_file(name, index.files[name])
                return
            listing = index.listing(self.path.strip("/").rpartition("/")[2])
            self._begin(index.kind, len(listing))
            self.wfile.write(listing)

        def _begin(self, kind: str, size: int | None) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            if size is not None:
                self.send_header("Content-Length", str(size))
            self.end_headers()

        def _send_file(self, name: str, content: bytes | None) -> None:
            self._begin("application/octet-stream", None if content is None else len(content))
            self.close_connection = True
            try:
                if content is None:
                    for _ in range(ENDLESS_BYTES >> 16):
                        self.wfile.write(bytes(1 << 16))
                    return
                content = content[: index.cut_short.get(name)]
                half = len(content) // 2 if index.held == name else 0
                self.wfile.write(content[:half])
                if half:
                    index.asked.append("it is held")
                    index.let_go.wait(60)
                self.wfile.write(content[half:])
            except OSError:
                index.asked.append("it hung up")

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    index.url = f"http://127.0.0.1:{server.server_address[1]}/simple"
    try:
        yield index
    finally:
        index.let_go.set()
        server.shutdown()
        thread.join()
        server.server_close()
