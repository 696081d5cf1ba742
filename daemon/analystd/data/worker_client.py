"""The daemon's side of the data worker: it starts one behind the walls when it is first needed, and again after it died."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from analystd.data.base import OpenFile, Source, WriteReport
from analystd.data.view_request import ViewRequest
from analystd.jail.sandbox import Policy, Sandbox
from analystd.jail.trusted_paths import TrustedPaths
from analystd.jail.workspace import Workspace
from analystd.wire.errors import WorkerDiedError
from analystd.wire.results import FileListing, FileText, ViewResult
from analystd.workers.parent import Supervisor, Worker, python_module

_LEAN = {
    # Matrix libraries would start a thread, with its own memory, for each core.
    "OPENBLAS_NUM_THREADS": "1",
    # Freed memory goes back to the system, so that a large file leaves no large worker.
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
"""What is always in a result, by its types."""


class DataWorker:
    """A `DataService` whose work is done by one child process."""

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
        self._told: dict[str, Any] = {}
        """What the worker was told of the workspace when it was started."""

    async def view(
        self, source: Source, question: ViewRequest, on_progress: Callable[[float], None] | None = None
    ) -> ViewResult:
        """A view of a table; see `DataService.view`."""
        name, descriptors = (source.name, [source.descriptor]) if isinstance(source, OpenFile) else (source.path, [])
        worker = await self._informed_worker(None if isinstance(source, OpenFile) else source.path)
        call = worker.call(
            "view",
            {"source": name, "question": question.to_json()},
            descriptors=descriptors,
            on_event=None if on_progress is None else lambda event: on_progress(event["done"]),
        )
        return cast(ViewResult, _checked(worker, await call.result(), _VIEW))

    async def list_files(self, path: str, *, pattern: str | None = None, recursive: bool = False) -> FileListing:
        """A folder's entries; see `DataService.list_files`."""
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
        """A part of a text file; see `DataService.read_file`."""
        lines = {"offset": offset, "limit": limit}
        params = {"path": path, **lines, "byte_offset": byte_offset, "byte_limit": byte_limit}
        return cast(FileText, await self._request("read_file", params))

    async def write_file(self, path: str, content: str) -> WriteReport:
        """Write a text file; see `DataService.write_file`."""
        return cast(WriteReport, await self._request("write_file", {"path": path, "content": content}))

    async def aclose(self) -> None:
        """End the worker. Harmless when repeated."""
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
        """A worker that knows the workspace's limits and protected names as they are now; one that is at work is not ended for that."""
        if self._told not in ({}, _parameters(self._workspace)):
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
        self._told = _parameters(self._workspace)
        argv = python_module("analystd.data.worker", json.dumps(self._told))
        worker = await Worker.start(
            "data",
            self._sandbox.command(argv, policy),
            environment={**self._sandbox.environment(policy), **_LEAN},
        )
        if trusted is not None:
            await self._arm(trusted, worker)
        return worker

    async def _arm(self, trusted: TrustedPaths, worker: Worker) -> None:
        """Seal what appeared since the worker started, before it opens anything."""
        try:
            await asyncio.to_thread(trusted.arm, worker.pid)
        except OSError as exc:
            await worker.aclose()
            raise WorkerDiedError(f"What tools outside trust could not be sealed in the data worker: {exc}") from exc
        self._armed = worker.pid

    async def _disarm(self) -> None:
        armed, self._armed = self._armed, None
        if armed is not None and self._workspace.trusted_paths is not None:
            await asyncio.to_thread(self._workspace.trusted_paths.disarm, armed)


def _checked(worker: Worker, result: dict[str, Any], form: Mapping[str, Any]) -> dict[str, Any]:
    """The result of a worker if it has the form that it should; else the worker is not one of ours any more.

    Raises:
        WorkerDiedError: when it has not.
    """
    if not all(isinstance(result.get(name), kinds) for name, kinds in form.items()):
        worker.end_distrusted("an answer of another form")
        raise WorkerDiedError("The data worker gave an answer that is none; it was ended", "Ask again.")
    return result


def _parameters(workspace: Workspace) -> dict[str, Any]:
    """What the worker makes the same workspace of."""
    return {
        "root": str(workspace.root),
        "protected": list(workspace.protected),
        "read_only_paths": [str(path) for path in workspace.read_only_paths],
        "max_gb": workspace.max_gb,
        "min_free_ram_percent": workspace.min_free_ram_percent,
        "sealed_names": list(workspace.trusted_names.added),
    }
