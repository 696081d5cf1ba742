"""The files and columns that exist, looked up anew for each reply, because a run may read in one step what it wrote in the previous one."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from analystd.agent.prompt import is_named
from analystd.data.base import DataService, FileInJail
from analystd.data.view_request import ViewRequest
from analystd.engine.base import ToolSpec
from analystd.tools.narrowing import Names, narrowed
from analystd.wire.errors import AnalystdError
from analystd.wire.results import FileEntry

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
"""Seconds that a reply waits for the names; after that it is not restricted to them."""
MOST_TABLES = 3
"""Maximum number of files named in a question whose columns are looked up."""

_FILE_WORD = re.compile(
    r"[\w./-]*\w\.(?:csv|tsv|tab|psv|jsonl|ndjson|parquet|pq|arrow|feather|xlsx|xlsm|xls|json|txt|md|log)(?:\.gz)?(?!\w|\.\w)",
    re.IGNORECASE,
)


def files_named_in(question: str) -> list[str]:
    """Return the words of a question that are file names, whether the files exist or not."""
    return list(dict.fromkeys(_FILE_WORD.findall(question)))


class SchemaHints:
    """The names for the replies to one question."""

    def __init__(self, data: DataService, question: str) -> None:
        self._data = data
        self._question = question
        self._columns: dict[tuple[str, Any, Any], tuple[str, ...]] = {}
        self._too_many = False

    async def __call__(self, tools: tuple[ToolSpec, ...]) -> tuple[ToolSpec, ...]:
        """Return the tools, restricted to the names that exist now; unchanged if not all names are known in time."""
        if not tools or self._too_many:
            return tools
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                entries = await self._entries()
            names = await self._names(entries)
        except TimeoutError:
            logger.info("the names in the workspace could not be looked up in %g s", LOOK_SECONDS)
            self._too_many = True
            return tools
        except AnalystdError as exc:
            logger.info("the names in the workspace could not be looked up: %s", exc.message)
            return tools
        return tuple(narrowed(tool, names) for tool in tools)

    async def _entries(self) -> Sequence[FileEntry]:
        """Return all entries of the workspace; none if the listing is incomplete."""
        listing = await self._data.list_files(".", recursive=True)
        entries = listing["entries"]
        # A listing shows control characters and undecodable bytes as escapes, which are not part of the files' names.
        self._too_many = listing["truncated"]
        exact = not any("\\" in entry["name"] for entry in entries)
        return entries if exact and not self._too_many else []

    async def _names(self, entries: Sequence[FileEntry]) -> Names:
        files = [entry for entry in entries if entry["type"] in ("file", "link")]
        paths = [entry["name"] for entry in files]
        if not paths or self._asks_for_another(paths):
            return Names()
        folders = sorted({str(PurePosixPath(path).parent) for path in paths if path.endswith(".parquet")} - {"."})
        tables = [entry for entry in files if is_named(self._question, entry["name"])]
        return Names(tuple(paths), tuple(folders), await self._columns_of(tables))

    def _asks_for_another(self, paths: Sequence[str]) -> bool:
        """Return whether the question names a missing file: restricted to other files, a model would answer from one of them."""
        there = [PurePosixPath(path).name.casefold() for path in paths]
        asked = [PurePosixPath(word).name.casefold() for word in files_named_in(self._question)]
        # A word may be the end of a name with spaces.
        return not all(any(name.endswith(word) for name in there) for word in asked)

    async def _columns_of(self, tables: Sequence[FileEntry]) -> tuple[str, ...] | None:
        """Return the columns of all these tables; None if the columns of one cannot be read in time."""
        if not 0 < len(tables) <= MOST_TABLES:
            return None
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                return tuple([column for table in tables for column in await self._columns_of_one(table)])
        except (AnalystdError, TimeoutError):
            return None

    async def _columns_of_one(self, table: Mapping[str, Any]) -> tuple[str, ...]:
        key = (table["name"], table["size"], table["modified"])
        if key not in self._columns:
            view = await self._data.view(FileInJail(table["name"]), ViewRequest("columns"))
            self._columns[key] = tuple(column.get("address", column["name"]) for column in view["columns"] or ())
        return self._columns[key]
