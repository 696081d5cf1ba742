"""What the agent finds out about tables by itself before the model is asked: rows, columns, types, missing values, ranges, first rows."""

from __future__ import annotations

import asyncio
import logging
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from analystd.agent.prompt import is_named, is_table
from analystd.data.base import DataService, FileInJail
from analystd.data.question import Question
from analystd.errors import AnalystdError
from analystd.protocol import ColumnInfo, ColumnProfile, ViewResult

logger = logging.getLogger(__name__)

LOOK_SECONDS = 4.0
"""A question waits no longer for the facts of one table."""
MOST_TABLES = 3
MOST_COLUMNS = 24
"""So many columns of a table are described; of the others only the names are told."""
PROFILED_BYTES = 8_000_000
"""The columns of larger files are not read whole, so that what would need that is left out."""

_MOST_NAMES = 120
_MOST_FILES = 20
_HEAD_ROWS = 3
_REMEMBERED = 64
_CELL_CHARACTERS = 40
_FEW_VALUES = 6
_WORD = re.compile(r"\w{2,}")
_PLAIN_NAME = re.compile(r"[^\W\d_][\w .%()/-]*(?<! )")


@dataclass(frozen=True)
class Looked:
    """What was found: text for the model and for people, and the columns by path."""

    paths: tuple[str, ...] = ()
    text: str = ""
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)


class TableFacts:
    """Looks at the tables of one workspace, and remembers what it saw of each version of a file."""

    def __init__(self, data: DataService) -> None:
        self._data = data
        self._seen: OrderedDict[tuple[Any, ...], tuple[str, tuple[str, ...]]] = OrderedDict()

    async def look(self, question: str, entries: Sequence[Mapping[str, Any]], earlier: Sequence[str] = ()) -> Looked:
        """Return the facts of the tables that a question names, else of those named before, or of all where there are few.

        Args:
            question: The question.
            entries: The files of the workspace.
            earlier: What was said before in the conversation, the latest first.
        """
        tables = [entry for entry in entries if is_table(entry["name"])]
        chosen = _named(tables, [question]) or (tables if len(tables) <= MOST_TABLES else _named(tables, earlier))
        texts: list[str] = []
        columns: dict[str, Sequence[str]] = {}
        for entry in chosen[:MOST_TABLES]:
            text, names = await self._facts(entry, question)
            texts.append(text)
            if names:
                columns[entry["name"]] = names
        others = [entry["name"] for entry in entries if entry["name"] not in {each["name"] for each in chosen}]
        if others:
            more = len(others) - _MOST_FILES
            listed = ", ".join(_name(name) for name in others[:_MOST_FILES])
            texts.append(f"Other files: {listed}{f' and {more} more' if more > 0 else ''}")
        return Looked(tuple(entry["name"] for entry in chosen[:MOST_TABLES]), "\n\n".join(texts), columns)

    async def _facts(self, entry: Mapping[str, Any], question: str) -> tuple[str, tuple[str, ...]]:
        path, size = str(entry["name"]), entry["size"]
        key = (path, size, entry["modified"], frozenset(_words(question)) if size is None or size > 0 else None)
        if key not in self._seen:
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    self._seen[key] = await self._described(path, size or 0, question)
            except AnalystdError as exc:
                return f"{_name(path)} cannot be read as a table: {exc.message}", ()
            except TimeoutError:
                logger.info("%s was not looked at within %g s", path, LOOK_SECONDS)
                return f"{_name(path)} is large; its columns are not known yet", ()
            while len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)
        return self._seen[key]

    async def _described(self, path: str, size: int, question: str) -> tuple[str, tuple[str, ...]]:
        source = FileInJail(path)
        shape = await self._data.view(source, Question("shape"))
        schema = await self._data.view(source, Question("schema"))
        columns = schema["columns"] or []
        chosen = _chosen(columns, question)
        profiles: dict[str, ColumnProfile] = {}
        if size <= PROFILED_BYTES and chosen:
            names = tuple(column["name"] for column in chosen)
            profile = await self._data.view(source, Question("profile", n_rows=len(names), columns=names))
            profiles = {each["column"]: each for each in profile.get("profiles") or ()}
        head = await self._data.view(
            source, Question("head", n_rows=_HEAD_ROWS, columns=tuple(column["name"] for column in chosen) or None)
        )
        lines = [f"{_name(path)}: {shape['num_rows']} rows, {len(columns)} columns"]
        lines += [_line(column, profiles.get(column["name"])) for column in chosen]
        lines += _further(columns, chosen)
        lines += _first_rows(head)
        return "\n".join(lines), tuple(column["name"] for column in columns)


def _named(tables: Sequence[Mapping[str, Any]], texts: Sequence[str]) -> list[Mapping[str, Any]]:
    """The tables that the first of the texts names which names any."""
    for text in texts:
        if found := [entry for entry in tables if is_named(text, entry["name"])]:
            return found
    return []


def _chosen(columns: Sequence[ColumnInfo], question: str) -> list[ColumnInfo]:
    """All columns of a narrow table; of a wide one those that the question's words touch, then the first."""
    if len(columns) <= MOST_COLUMNS:
        return list(columns)
    words = _words(question)
    touched = [column for column in columns if words & _words(column["name"])]
    first = [column for column in columns if column not in touched]
    kept = [*touched, *first][:MOST_COLUMNS]
    return [column for column in columns if column in kept]


def _words(text: str) -> set[str]:
    parts = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text.replace("_", " "))
    return {word.casefold() for word in _WORD.findall(parts)}


def _line(column: ColumnInfo, profile: ColumnProfile | None) -> str:
    facts: list[str] = []
    if profile is not None:
        top = profile["top"] or []
        if profile["min"] is not None and profile["max"] is not None and column["type"] != "text":
            facts.append(f"{_cell(profile['min'])} to {_cell(profile['max'])}")
        elif top:
            shown = ", ".join(f"{_quoted(each['value'])} ({each['count']})" for each in top[:_FEW_VALUES])
            distinct = profile["distinct"]
            facts.append(f"{distinct} different: {shown}" if distinct is not None else shown)
        if profile["missing"]:
            facts.append(f"{profile['missing']} missing")
    return f"- {_name(column['name'])} ({column['type']}){': ' if facts else ''}{', '.join(facts)}"


def _further(columns: Sequence[ColumnInfo], chosen: Sequence[ColumnInfo]) -> list[str]:
    rest = [column["name"] for column in columns if column not in chosen]
    if not rest:
        return []
    more = len(rest) - _MOST_NAMES
    return [f"Further columns: {', '.join(map(_name, rest[:_MOST_NAMES]))}{f' and {more} more' if more > 0 else ''}"]


def _first_rows(head: ViewResult) -> list[str]:
    rows = head["rows"] or []
    return ["First rows:", *(" | ".join(_cell(cell) for cell in row) for row in rows)] if rows else []


def _name(name: str) -> str:
    """A name as it is, or as Python writes it where it would not be seen as it is."""
    return name if _PLAIN_NAME.fullmatch(name) or (PurePosixPath(name).suffix and name.isprintable()) else repr(name)


def _quoted(value: Any) -> str:
    return repr(_cell(value)) if isinstance(value, str) else _cell(value)


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    text = text if text.isprintable() else repr(text)[1:-1]
    return text if len(text) <= _CELL_CHARACTERS else f"{text[: _CELL_CHARACTERS - 1]}…"
