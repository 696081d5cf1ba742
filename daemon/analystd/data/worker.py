"""The data worker's program, `python -m analystd.data.worker SETTINGS`, which `worker_client` starts.

Requests run concurrently, so that a long count does not delay a view of another file.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from analystd.data.compute.selections import Selections
from analystd.data.files import reading as files
from analystd.data.files.writing import Room, write_file
from analystd.data.formats import Formats
from analystd.data.memory_cap import cap_memory, give_back_memory, out_of_memory
from analystd.data.positioned_file import PositionedFile, ProgressListener
from analystd.data.view_request import ViewRequest
from analystd.data.views import view
from analystd.jail.workspace import Workspace
from analystd.wire.errors import AnalystdError, WorkspaceError
from analystd.wire.results import ViewResult
from analystd.wire.structured import structured
from analystd.workers.child import Channel, WorkerRequest

logger = logging.getLogger(__name__)

_SIDE_BY_SIDE = 4
_REPORT_SECONDS = 0.2


class DataDesk:
    """The worker's state: the workspace, and caches about the files opened so far."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._room = Room(workspace)
        self._formats = Formats()
        self._selections = Selections()
        self._methods: dict[str, Callable[[WorkerRequest], Any]] = {
            "view": self._view,
            "list_files": self._list_files,
            "read_file": self._read_file,
            "write_file": self._write_file,
        }

    def answer(self, request: WorkerRequest) -> None:
        """Answer a request exactly once, with a result or an error."""
        failure = self._attempt(request)
        # Outside of the call, no frame holds the objects that filled the memory.
        if failure is not None:
            request.fail(failure)
        give_back_memory()

    def _attempt(self, request: WorkerRequest) -> AnalystdError | None:
        """Reply with the request's result, or with the error."""
        try:
            request.reply(self._methods[request.method](request))
        except AnalystdError as exc:
            return exc
        except MemoryError:
            return out_of_memory(str(request.params.get("source") or request.params.get("path") or request.method))
        except Exception as exc:
            logger.exception("%s failed", request.method)
            return AnalystdError(f"{request.method} failed: {type(exc).__name__}: {exc}")
        return None

    def _view(self, request: WorkerRequest) -> Any:
        view_request, source = structured(ViewRequest, request.params["question"]), request.params["source"]
        if not request.descriptors and (self._workspace.root / source).is_dir():
            folder = self._formats.open_folder(self._workspace, source, _listener(request))
            return view(folder, view_request, self._selections.of(folder.content_key, view_request))
        result = self._view_of_one_state(request, view_request) or self._view_of_one_state(
            request, view_request, last=True
        )
        assert result is not None
        return result

    def _view_of_one_state(
        self, request: WorkerRequest, view_request: ViewRequest, *, last: bool = False
    ) -> ViewResult | None:
        """Return a view, or None if the file was rewritten meanwhile; the `last` attempt returns the view with a warning instead."""
        with self._opened(request, request.params["source"]) as file:
            try:
                table = self._formats.open_table(file, view_request.delimiter)
                result = view(table, view_request, self._selections.of(file.key, view_request))
            except WorkspaceError:
                if last or not self._formats.rewritten_meanwhile(file):
                    raise
                return None
            if self._formats.rewritten_meanwhile(file):
                if not last:
                    return None
                result["warnings"].append(f"{file.name} is being written: the result may mix old and new content")
            return result

    def _list_files(self, request: WorkerRequest) -> Any:
        return files.list_files(self._workspace, **request.params, cancelled=request.cancelled)

    def _read_file(self, request: WorkerRequest) -> Any:
        params = dict(request.params)
        with self._opened(request, params.pop("path")) as file:
            return files.read_file(file, **params)

    def _write_file(self, request: WorkerRequest) -> Any:
        return write_file(self._room, **request.params)

    @contextmanager
    def _opened(self, request: WorkerRequest, name: str) -> Iterator[PositionedFile]:
        """Open the file whose descriptor came with the request, or else the file `name` in the workspace."""
        listener = _listener(request)
        if request.descriptors:
            yield PositionedFile.of_descriptor(name, request.descriptors[0], listener)
            return
        descriptor = self._workspace.open_read(name)
        try:
            yield PositionedFile.of_descriptor(name, descriptor, listener)
        finally:
            os.close(descriptor)


def _listener(request: WorkerRequest) -> ProgressListener:
    return ProgressListener(request.cancelled, _reporter(request))


def _reporter(request: WorkerRequest) -> Callable[[float], None]:
    """Return a callback that reports a request's progress to the daemon, a few times a second."""
    reported = time.monotonic()

    def report(done: float) -> None:
        nonlocal reported
        if (now := time.monotonic()) - reported >= _REPORT_SECONDS:
            reported = now
            request.emit({"done": done})

    return report


def main() -> None:
    """Serve until the daemon closes the channel."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    settings = json.loads(sys.argv[1])
    settings["root"] = Path(settings["root"])
    settings["read_only_paths"] = [Path(path) for path in settings["read_only_paths"]]
    desk = DataDesk(Workspace(**settings))
    logger.info("Views may take %d MiB of memory", cap_memory() >> 20)
    channel = Channel()
    with ThreadPoolExecutor(_SIDE_BY_SIDE, thread_name_prefix="request") as pool:
        channel.ready({"pid": os.getpid()}, take=lambda request: pool.submit(desk.answer, request))
        channel.wait_closed()


if __name__ == "__main__":
    main()
