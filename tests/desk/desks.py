"""A desk over a scripted model, with stand-ins for files and Python: for tests of the desk itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from analystd.config.settings import Settings
from analystd.data.base import Source
from analystd.data.view_request import ViewRequest
from analystd.desk.desk import Desk, Equipment
from analystd.desk.desk_lock import DeskLock
from analystd.desk.journal import Journal
from analystd.desk.requester import Requester
from analystd.engine.base import Completion, GenerateRequest
from analystd.engine.scripted import ScriptedEngine
from analystd.jail.workspace import Workspace
from analystd.kernel.base import Completions, Execution, Output, Session, SessionInfo, SessionVariable, Trouble
from analystd.wire.results import FileEntry, FileListing, FileText, ViewResult, WriteReport


def by(name: str) -> Requester:
    """Return a client whose name is its id."""
    return Requester(name, name)


async def all_events(journal: Journal, after: int = 0) -> list[dict[str, Any]]:
    """Return the events of a journal after a number, read page by page."""
    events: list[dict[str, Any]] = []
    while after < journal.seq:
        page = await journal.page(after)
        events += [entry.event for entry in page.entries]
        after = page.last
    return events


class Listing:
    """A data service that lists files which do not exist."""

    def __init__(self, *names: str) -> None:
        self.names = list(names)

    async def view(
        self, source: Source, request: ViewRequest, on_progress: Callable[[float], None] | None = None
    ) -> ViewResult:
        raise NotImplementedError

    async def list_files(self, path: str, *, pattern: str | None = None, recursive: bool = False) -> FileListing:
        entries: list[FileEntry] = [{"name": name, "type": "file", "size": 1, "modified": ""} for name in self.names]
        return {"text": "\n".join(self.names), "path": path, "entries": entries, "truncated": False}

    async def read_file(
        self,
        path: str,
        *,
        offset: int | None = None,
        limit: int | None = None,
        byte_offset: int | None = None,
        byte_limit: int | None = None,
    ) -> FileText:
        raise NotImplementedError

    async def write_file(self, path: str, content: str) -> WriteReport:
        self.names.append(path)
        return {"text": f"Wrote {path}", "path": path, "size": len(content), "created": True}

    async def aclose(self) -> None:
        pass


class Echo(Session):
    """A session in which code prints itself; `plot` shows a plot."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._count = 0

    def info(self) -> SessionInfo:
        return SessionInfo(self._name, "idle", None, self._count, None)

    async def execute(
        self,
        code: str,
        *,
        timeout_seconds: float,
        on_output: Callable[[Output], None],
        on_late_output: Callable[[Output], None] | None = None,
        overstepped: str | None = None,
        file: str | None = None,
    ) -> Execution:
        self._count += 1
        await asyncio.sleep(0)
        on_output(Output("stdout", code))
        displays: tuple[dict[str, Any], ...] = ({"image/png": "iVBORw"},) if code == "plot" else ()
        for display in displays:
            on_output(Output("display", data=display))
        return Execution("ok", self._count, code, "", None, displays, None, False, 0.0)

    async def interrupt(self) -> None:
        pass

    async def reset(self) -> None:
        pass

    async def variables(self) -> tuple[SessionVariable, ...]:
        return ()

    async def variable_count(self) -> int | None:
        return 0

    async def complete(self, code: str, cursor: int) -> Completions:
        return Completions((), cursor, cursor)

    async def inspect(self, code: str, cursor: int) -> str | None:
        return None

    async def aclose(self) -> None:
        pass


class Echoes:
    """A supply of `Echo` sessions."""

    def session(
        self, name: str, on_background_output: Callable[[Output], None], on_trouble: Callable[[Trouble], None]
    ) -> Session:
        return Echo(name)

    async def aclose(self) -> None:
        pass


class Attentive(ScriptedEngine):
    """A scripted model that remembers its requests and how many it had at once."""

    def __init__(self, script: Path) -> None:
        super().__init__(script)
        self.requests: list[GenerateRequest] = []
        self.most_at_once = 0
        self._at_once = 0

    async def generate(self, request: GenerateRequest, on_text: Callable[[str], bool]) -> Completion:
        self.requests.append(replace(request, tools=()))
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            return await super().generate(request, on_text)
        finally:
            self._at_once -= 1


class Office:
    """A folder with a workspace and the state of its desk, in which desks can be opened one after another."""

    def __init__(self, folder: Path, *files: str, parameters: int | None = None) -> None:
        self._folder = folder
        self._parameters = parameters
        self.data = Listing(*files)
        (folder / "workspace").mkdir()

    def open(self, replies: Sequence[str], settings: Settings | None = None) -> tuple[Desk, Attentive]:
        """Return a desk whose model gives these replies in each conversation; close it with `aclose`."""
        script = self._folder / "script.jsonl"
        lines = [{"say": reply} for reply in replies]
        head = [] if self._parameters is None else [{"parameters": self._parameters}]
        script.write_text("".join(json.dumps(line) + "\n" for line in (*head, *lines)))
        engine = Attentive(script)
        root = self._folder / "workspace"
        state = DeskLock.claim(self._folder / "desks", root)
        settings = settings or Settings()
        equipment = Equipment(engine, self.data, Echoes(), "none")
        return Desk(Workspace.of_settings(root, settings), settings, state, equipment), engine
