"""Servers with the chat API: two real ones with the real model, and one that misbehaves as requested."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

_STARTING_SECONDS = 90.0

LLAMA_CPP = """
from llama_cpp.server.__main__ import main
from analystd.engine.llama.amx_workaround import without_tiles
with without_tiles():
    main()
"""
XLLAMACPP = """
import sys, time
import xllamacpp
from analystd.engine.llama.amx_workaround import without_tiles
params = xllamacpp.CommonParams()
params.model.path, params.use_jinja = sys.argv[1], True
params.port, params.n_ctx, params.n_parallel = map(int, sys.argv[2:])
with without_tiles():
    server = xllamacpp.Server(params)
    while True:
        time.sleep(1)
"""


@contextmanager
def llama_cpp_server(model: Path) -> Iterator[str]:
    """The URL of `llama_cpp.server`, which calls tools natively in this format."""
    port = free_port()
    arguments = ["-c", LLAMA_CPP, "--model", str(model), "--host", "127.0.0.1", "--port", str(port)]
    with _serving(
        [*arguments, "--n_ctx", "2048", "--api_key", "right", "--chat_format", "chatml-function-calling"], port, "right"
    ) as url:
        yield url


@contextmanager
def xllamacpp_server(model: Path, *, context: int = 4096, slots: int = 1) -> Iterator[str]:
    """The URL of llama-server (as a library), which knows no tools for this model; `context` is shared by its slots."""
    port = free_port()
    with _serving(["-c", XLLAMACPP, str(model), str(port), str(context), str(slots)], port, None) as url:
        yield url


def free_port() -> int:
    """A port that nobody has right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _serving(arguments: list[str], port: int, key: str | None) -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ}
    )
    url = f"http://127.0.0.1:{port}/v1"
    try:
        until = time.monotonic() + _STARTING_SECONDS
        while True:
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < until, "the server does not start"
            with contextlib.suppress(httpx.TransportError):
                headers = {"Authorization": f"Bearer {key}"} if key else {}
                if httpx.get(f"{url}/models", headers=headers, trust_env=False).status_code == 200:
                    break
            time.sleep(0.1)
        yield url
    finally:
        process.kill()
        process.wait()


@dataclass
class Misbehaving:
    """A server that gives one prepared answer after the other, and notes what it was asked."""

    answers: list[bytes]
    native: dict[str, bytes] = field(default_factory=dict)
    """Answers to what is not of the chat API, by path; 404 where there is none."""
    native_asked: list[str] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client hung up while an answer was not finished."""
    url: str = ""
    serving: set[asyncio.Task[Any] | None] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request."""
        self.serving.add(asyncio.current_task())
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(
            (int(line.split(":")[1]) for line in head.lower().split("\r\n") if line.startswith("content-length")), 0
        )
        body = await reader.readexactly(length)
        answer = self._answer(head, body)
        hangs = answer.endswith(HANGS)
        writer.write(answer.removesuffix(HANGS))
        await writer.drain()
        if hangs:
            await reader.read()
            self.closed.set()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    def _answer(self, head: str, body: bytes) -> bytes:
        path = head.split(" ")[1]
        if not path.startswith("/v1/"):
            self.native_asked.append(path)
            return self.native.get(path, status(404))
        self.asked.append({"head": head, "body": json.loads(body) if body else None})
        return self.answers.pop(0) if self.answers else status(500)


HANGS = b"<hangs>"
"""At the end of an answer: nothing more comes, and the connection stays."""


@asynccontextmanager
async def misbehaving(*answers: bytes) -> AsyncIterator[Misbehaving]:
    """A server with these answers, after one that names the model `small`."""
    server = Misbehaving([models("small"), *answers])
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
    async with listening:
        yield server
        await asyncio.wait_for(asyncio.gather(*filter(None, server.serving)), 5)


def status(code: int, body: str = "", headers: str = "") -> bytes:
    """An answer with a status."""
    return f"HTTP/1.1 {code} X\r\nConnection: close\r\nContent-Length: {len(body.encode())}\r\n{headers}\r\n{body}".encode()


def models(*names: str) -> bytes:
    """The answer that lists models."""
    return status(200, json.dumps({"data": [{"id": name} for name in names]}))


def events(*data: Any, end: str = "data: [DONE]\n\n") -> bytes:
    """A streamed answer of these chunks."""
    lines = "".join(f"data: {each if isinstance(each, str) else json.dumps(each)}\n\n" for each in data)
    return f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/event-stream\r\n\r\n{lines}{end}".encode()


def said(text: str, finish: str | None = None) -> dict[str, Any]:
    """A chunk with some text."""
    return {"choices": [{"delta": {"content": text}, "finish_reason": finish}]}


def called(name: str | None, arguments: str, finish: str | None = None) -> dict[str, Any]:
    """A chunk with a part of a call."""
    function = {"arguments": arguments} if name is None else {"name": name, "arguments": arguments}
    return {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": function}]}, "finish_reason": finish}]}
