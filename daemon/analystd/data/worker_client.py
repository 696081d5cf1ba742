"""The daemon's side of the data worker, which it starts in the sandbox on first use and restarts after it dies."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from analystd.data.base import OpenFile, Source
from analystd.data.view_request import ViewRequest
from analystd.jail.sandbox import Policy, Sandbox
from analystd.jail.trusted_paths import TrustedPaths
from analystd.jail.workspace import Workspace
from analystd.wire.errors import WorkerDiedError
from analystd.wire.results import FileListing, FileText, ViewResult, WriteReport
from analystd.workers.parent import Supervisor, Worker, python_module

_LEAN = {
    # Linear algebra libraries would start one thread per core, each with its own memory.
    "OPENBLAS_NUM_THREADS": "1",
    # Return freed memory to the system, so that the worker shrinks after a large file.
    "ARROW_DEFAULT_MEMORY_POOL": "system",
}


_VIEW: dict[str, Any] = {
    "operation": str,
    "text": str,
    "columns": list | None,
    "rows": list | None,
    "num_rows": int | None,
    "num_columns": int | None,
    "offset": int | None,
    "warnings": list,
}
_RESULTS: dict[str, dict[str, Any]] = {
    "list_files": {"text": str, "path": str, "entries": list, "truncated": bool},
    "read_file": {"text": str, "path": str, "size": int, "truncated": bool},
    "write_file": {"text": str, "path": str, "size": int, "created": bool},
}
"""The required fields of each result, with their types."""


class DataWorker:
    """A `DataService` whose work one child process does."""

    def __init__(
        self,
        workspace: Workspace,
        sandbox: Sandbox,
        runtime: Path,
        *,
        sealed: tuple[Path, ...] = (),
        pinned: tuple[Path, ...] = (),
    ) -> None:
        self._workspace = workspace
        self._sandbox = sandbox
        self._policy = Policy(workspace.root, runtime, workspace.read_only_paths, sealed=sealed, pinned=pinned)
        self._armed: int | None = None
        self._supervisor = Supervisor(self._start)
        self._started_with: dict[str, Any] = {}
        """The workspace's settings with which the worker was started."""

    async def view(
        self, source: Source, request: ViewRequest, on_progress: Callable[[float], None] | None = None
    ) -> ViewResult:
        """Return a view of a table; see `DataService.view`."""
        name, descriptors = (source.name, [source.descriptor]) if isinstance(source, OpenFile) else (source.path, [])
        worker = await self._informed_worker(None if isinstance(source, OpenFile) else source.path)
        call = worker.call(
            "view",
            {"source": name, "question": request.to_json()},
            descriptors=descriptors,
            on_event=None if on_progress is None else lambda event: on_progress(event["done"]),
        )
        return cast(ViewResult, _checked(worker, await call.result(), _VIEW))

    async def list_files(self, path: str, *, pattern: str | None = None, recursive: bool = False) -> FileListing:
        """Return a folder's entries; see `DataService.list_files`."""
        params = {"path": path, "pattern": pattern, "recursive": recursive}
        return cast(FileListing, await self._request("list_files", params))

    async def read_file(
        self,
        path: str,
        *,
        offset: int | None = None,
        limit: int | None = None,
        byte_offset: int | None = None,
        byte_limit: int | None = None,
    ) -> FileText:
        """Return a part of a text file; see `DataService.read_file`."""
        lines = {"offset": offset, "limit": limit}
        params = {"path": path, **lines, "byte_offset": byte_offset, "byte_limit": byte_limit}
        return cast(FileText, await self._request("read_file", params))

    async def write_file(self, path: str, content: str) -> WriteReport:
        """Write a text file; see `DataService.write_file`."""
        return cast(WriteReport, await self._request("write_file", {"path": path, "content": content}))

    async def aclose(self) -> None:
        """Stop the worker; a second call does nothing."""
        await self._supervisor.aclose()
        await self._disarm()

    @property
    def pid(self) -> int | None:
        """The process id of the worker, if one is running."""
        worker = self._supervisor.running
        return worker.pid if worker else None

    def __repr__(self) -> str:
        return f"<DataWorker {self._workspace.root} pid={self.pid}>"

    async def _request(self, method: str, params: dict[str, Any]) -> Any:
        worker = await self._informed_worker(params["path"])
        return _checked(worker, await worker.request(method, params), _RESULTS[method])

    async def _informed_worker(self, path: str | None) -> Worker:
        """Return a worker with the workspace's current limits and protected names; a busy worker is not restarted for new ones."""
        if self._started_with not in ({}, _parameters(self._workspace)):
            await self._supervisor.rest(lambda: not self._is_at_work)
            if self._is_at_work and path is not None:
                self._workspace.resolve(path)
        return await self._supervisor.worker()

    @property
    def _is_at_work(self) -> bool:
        worker = self._supervisor.running
        return worker is not None and worker.is_at_work

    async def _start(self) -> Worker:
        await self._disarm()
        policy, trusted = self._policy, self._workspace.trusted_paths
        if trusted is not None:
            policy = replace(policy, sealed=(*policy.sealed, *await asyncio.to_thread(trusted.to_seal)))
        self._started_with = _parameters(self._workspace)
        argv = python_module("analystd.data.worker", json.dumps(self._started_with))
        worker = await Worker.start(
            "data",
            self._sandbox.command(argv, policy),
            environment={**self._sandbox.environment(policy), **_LEAN},
        )
        if trusted is not None:
            await self._arm(trusted, worker)
        return worker

    async def _arm(self, trusted: TrustedPaths, worker: Worker) -> None:
        """Seal trusted paths that appeared since the worker started, before it opens any file."""
        try:
            await asyncio.to_thread(trusted.arm, worker.pid)
        except OSError as exc:
            await worker.aclose()
            raise WorkerDiedError(
                f"Files that tools outside the jail trust could not be sealed in the data worker: {exc}"
            ) from exc
        self._armed = worker.pid

    async def _disarm(self) -> None:
        armed, self._armed = self._armed, None
        if armed is not None and self._workspace.trusted_paths is not None:
            await asyncio.to_thread(self._workspace.trusted_paths.disarm, armed)


def _checked(worker: Worker, result: dict[str, Any], form: Mapping[str, Any]) -> dict[str, Any]:
    """Return a worker's result if it is well-formed; otherwise stop the worker, which is damaged or was taken over.

    Raises:
        WorkerDiedError: when the result is not well-formed.
    """
    if not all(isinstance(result.get(name), kinds) for name, kinds in form.items()):
        worker.end_distrusted("an answer of another form")
        raise WorkerDiedError("The data worker sent an invalid answer and was stopped", "Try again.")
    return result


def _parameters(workspace: Workspace) -> dict[str, Any]:
    """Return the settings from which the worker recreates the workspace."""
    return {
        "root": str(workspace.root),
        "protected": list(workspace.protected),
        "read_only_paths": [str(path) for path in workspace.read_only_paths],
        "max_gb": workspace.max_gb,
        "min_free_ram_percent": workspace.min_free_ram_percent,
        "sealed_names": list(workspace.trusted_names.added),
    }
