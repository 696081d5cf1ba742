"""Report, restore and discard what was moved into the quarantine of a workspace."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Literal

from analystd.desk.event_log import EventLog
from analystd.desk.requester import Requester
from analystd.desk.runs import RunBook
from analystd.jail import restoring
from analystd.jail.quarantine import MovedAside, MovedItem, shown_path
from analystd.jail.restoring import Preview
from analystd.jail.trusted_paths import TrustedPaths
from analystd.wire.errors import InvalidArgumentsError
from analystd.wire.names import EventKind
from analystd.wire.results import QuarantinedItem, QuarantineEntry, QuarantineList, RestoredFile, RestoreResult

_TOLD_ENTRIES = 100
_TOLD_ITEMS = 50
_TOLD_FILES = 200


class Quarantined:
    """The quarantine of a workspace as clients see it; without a sandbox it is always empty."""

    def __init__(self, trusted: TrustedPaths | None, chronicle: EventLog, runs: RunBook) -> None:
        self._trusted = trusted
        self._chronicle = chronicle
        self._runs = runs
        if trusted is not None:
            loop = asyncio.get_running_loop()
            trusted.on_quarantined = lambda entry: _call_in(loop, lambda: self._tell(entry))
            trusted.runs_under_way = lambda: [run.id for run in runs.active if run.request.kind != "write"]

    @property
    def count(self) -> int:
        """Number of entries since the desk was opened."""
        return self._trusted.count if self._trusted is not None else 0

    async def entries(self) -> QuarantineList:
        """Return the entries, newest first, and the total number of entries."""
        if self._trusted is None:
            return {"entries": [], "count": 0}
        entries = await asyncio.to_thread(self._trusted.quarantine.entries)
        return {"entries": [entry_info(entry) for entry in entries[:_TOLD_ENTRIES]], "count": len(entries)}

    async def preview(self, entry_id: str) -> RestoreResult:
        """Return what `restore` would restore.

        Raises:
            InvalidArgumentsError: if there is no such entry.
        """
        trusted, entry = await self._find(entry_id)
        previews = await asyncio.to_thread(restoring.preview, trusted, entry)
        return {
            "status": "preview",
            "entry": entry_info(entry),
            "files": [file for preview in previews for file in _files(preview)][:_TOLD_FILES],
            "digest": restoring.digest(previews),
            "problems": [
                f"{shown_path(preview.item.path)}: {preview.problem}" for preview in previews if preview.problem
            ],
        }

    async def restore(self, entry_id: str, digest: str | None) -> RestoreResult:
        """Restore an entry, if it has not changed since `digest` was computed.

        Raises:
            InvalidArgumentsError: if there is no such entry; `WorkspaceError` if it cannot be restored.
        """
        trusted, entry = await self._find(entry_id)
        await asyncio.to_thread(restoring.restore, trusted, entry, digest)
        return _done("restored", entry)

    async def discard(self, entry_id: str) -> RestoreResult:
        """Delete an entry permanently.

        Raises:
            InvalidArgumentsError: if there is no such entry.
        """
        trusted, entry = await self._find(entry_id)
        await asyncio.to_thread(trusted.quarantine.discard, entry.id)
        return _done("discarded", entry)

    async def _find(self, entry_id: str) -> tuple[TrustedPaths, MovedAside]:
        if self._trusted is None:
            raise InvalidArgumentsError("There is no quarantine without walls", "`analystd doctor` shows the level.")
        return self._trusted, await asyncio.to_thread(self._trusted.quarantine.entry, entry_id)

    def _tell(self, entry: MovedAside) -> None:
        """Record a new entry as an event, of the run if only one was in progress."""
        active = [run for run in self._runs.active if run.id in entry.runs]
        run = active[0] if len(entry.runs) == 1 and active else None
        asker: Requester | None = run.request.asker if run is not None else None
        session = run.request.session if run is not None else None
        self._chronicle.record(
            EventKind.QUARANTINED,
            run.id if run is not None else None,
            asker,
            session,
            text=entry.sentence(),
            entry=entry_info(entry),
        )


def entry_info(entry: MovedAside) -> QuarantineEntry:
    """Return an entry in its wire format."""
    return {
        "id": entry.id,
        "at": entry.at,
        "runs": list(entry.runs),
        "moved": [_item_info(item) for item in entry.items[:_TOLD_ITEMS]],
        "count": len(entry.items),
    }


def _item_info(item: MovedItem) -> QuarantinedItem:
    return {
        "path": shown_path(item.path),
        "kind": item.kind,
        "size": item.size_bytes,
        "trusted_by": item.trusted_by,
        "reason": item.reason,
    }


def _files(preview: Preview) -> list[RestoredFile]:
    if preview.description is None:
        return []
    around = preview.item.path.rpartition("/")[0] if preview.item.is_shape else preview.item.path
    return [
        {"path": shown_path("/".join(part for part in (around, path.partition("/")[2]) if part)), "size": size}
        for path, size in preview.description.files
    ]


def _done(status: Literal["restored", "discarded"], entry: MovedAside) -> RestoreResult:
    return {"status": status, "entry": entry_info(entry), "files": [], "digest": None, "problems": []}


def _call_in(loop: asyncio.AbstractEventLoop, call: Callable[[], Any]) -> None:
    """Call a function in the loop, unless the loop is closed."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(call)
