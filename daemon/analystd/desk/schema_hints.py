"""Which files and columns there are, looked up anew for each reply: what a run writes may be read in its next step."""

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
"""A reply waits no longer for its names; without them it is free."""
MOST_TABLES = 3
"""So many files that a question names are asked for their columns."""

_FILE_WORD = re.compile(
    r"[\w./-]*\w\.(?:csv|tsv|tab|psv|jsonl|ndjson|parquet|pq|arrow|feather|xlsx|xlsm|xls|json|txt|md|log)(?:\.gz)?(?!\w|\.\w)",
    re.IGNORECASE,
)


def files_named_in(question: str) -> list[str]:
    """Return the words of a question that are names of files, whether these are there or not."""
    return list(dict.fromkeys(_FILE_WORD.findall(question)))


class SchemaHints:
    """The names for the replies to one question."""

    def __init__(self, data: DataService, question: str) -> None:
        self._data = data
        self._question = question
        self._columns: dict[tuple[str, Any, Any], tuple[str, ...]] = {}
        self._too_many = False

    async def __call__(self, tools: tuple[ToolSpec, ...]) -> tuple[ToolSpec, ...]:
        """The tools, held to the names that are there now; as they are where the names are not all known in time."""
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
        """All entries of the workspace; none where not all can be told."""
        listing = await self._data.list_files(".", recursive=True)
        entries = listing["entries"]
        # A listing shows control characters, and bytes that are no text, as escapes: those are not the files' names.
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
        """Whether the question names a file that is not there: held to others, a model would answer from one of them."""
        there = [PurePosixPath(path).name.casefold() for path in paths]
        asked = [PurePosixPath(word).name.casefold() for word in files_named_in(self._question)]
        # A word may be the end of a name with spaces.
        return not all(any(name.endswith(word) for name in there) for word in asked)

    async def _columns_of(self, tables: Sequence[FileEntry]) -> tuple[str, ...] | None:
        """The columns of all these tables; None when one of them does not tell its own in time."""
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
