"""A small worker for the tests of the channel: it echoes, fails, waits for a cancellation, dies, and reads descriptors."""

from __future__ import annotations

import os
import sys
from typing import Any

from analystd.wire.errors import AnalystdError, WorkspaceError
from analystd.workers.child import Channel, WorkerRequest


def handle(request: WorkerRequest) -> dict[str, Any]:
    if request.method == "echo":
        request.emit({"half": request.params["text"][:2]})
        return {"text": request.params["text"]}
    if request.method == "refuse":
        raise WorkspaceError("no such thing", "try another")
    if request.method == "wait":
        return {"cancelled": request.cancelled.wait(20)}
    if request.method == "read":
        return {"texts": [os.pread(descriptor, 100, 0).decode() for descriptor in request.descriptors]}
    print("last words", file=sys.stderr, flush=True)
    os._exit(3)


channel = Channel()
channel.ready({"answer": 42})
for request in channel:
    try:
        request.reply(handle(request))
    except AnalystdError as exc:
        request.fail(exc)
