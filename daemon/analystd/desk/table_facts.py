"""Find out facts about tables before the model is asked: rows, columns, types, missing values, ranges, first rows."""

from __future__ import annotations

import asyncio
import difflib
import logging
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from analystd.agent.prompt import is_named, is_table, without_compression
from analystd.agent.value_hints import Contents
from analystd.data.base import DataService, FileInJail
from analystd.data.view_request import ViewRequest
from analystd.desk.facts_text import (
    SAMPLE_ROWS,
    TEXT_TYPES,
    ColumnFacts,
    Known,
    all_values,
    cell_text,
    chosen_columns,
    file_name,
    holds_numbers,
    is_date_as_text,
    keys_of,
    named_columns,
    profile_fact,
    sample_fact,
    table_text,
    words,
    written_as_text,
)
from analystd.desk.schema_hints import files_named_in
from analystd.wire.errors import AnalystdError

logger = logging.getLogger(__name__)

LOOK_SECONDS = 4.0
"""Seconds that a question waits for the facts of one table; after that, only the facts known so far are used."""
MOST_TABLES = 3
PROFILED_BYTES = 8_000_000
"""Maximum size of a file whose columns are read completely; of larger files, only the first rows are read."""
MOST_CHARACTERS = 7000
"""Maximum number of characters of the facts of all files, if the model's window allows it."""

_MOST_FILES = 20
_REMEMBERED = 64
_MOST_NOTES = 3
_NEAR = 0.6
_LEAST_CHARACTERS = 1200
_CHARACTERS_PER_TOKEN = 3
_WRITING = re.compile(
    r"\b(?:creat|dump|export|generat|mak|produc|put|sav|stor|writ|erstell|erzeug|export|schreib|speicher)\w*",
    re.IGNORECASE,
)
_FROM_NOTHING = re.compile(
    r"\b(?:synthetic\w*|simulat\w*|random walk|made.up|dummy data|fake data|synthetisch\w*|simulier\w*|zufallsreihe|irrfahrt)\b",
    re.IGNORECASE,
)
"""A question that asks for made-up data, which comes from no file unless it names one."""
_ARTICLES = r"\s+(?:(?:a|an|the|file|eine|einer|datei)\s+)*"
_INTO = rf"\b(?:to|into|in|as|at|called|named|under|als|in|nach|unter|namens){_ARTICLES}"
_AS = rf"\b(?:as|called|named|als|namens){_ARTICLES}"
_CUT_LIST = re.compile(r"^(?:New|Other) files: .* and \d+ more$", re.MULTILINE)
_JSON = {".jsonl", ".ndjson", ".jsonlines", ".json"}
_TYPED = {".parquet", ".pq", ".arrow", ".arrows", ".feather", ".ipc", *_JSON}
_EXCEL = {".xlsx", ".xlsm"}


@dataclass(frozen=True)
class Looked:
    """The result of a look: text for the model and for people, the columns by path, and the known contents of their cells."""

    paths: tuple[str, ...] = ()
    text: str = ""
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    contents: Contents = field(default_factory=Contents)
    odd_files: tuple[str, ...] = ()
    """The files that must be read by the toolbox, because they are not plain CSV."""


def most_characters(window: int | None) -> int:
    """Return how many characters the facts of files may fill in a model's window, given in tokens: a quarter of it."""
    if window is None:
        return MOST_CHARACTERS
    return max(_LEAST_CHARACTERS, min(MOST_CHARACTERS, window // 4 * _CHARACTERS_PER_TOKEN))


class TableFacts:
    """Looks at the tables of one workspace, and remembers the facts of each version of a file."""

    def __init__(self, data: DataService) -> None:
        self._data = data
        self._seen: OrderedDict[tuple[Any, ...], Known] = OrderedDict()

    async def look(
        self,
        question: str,
        entries: Sequence[Mapping[str, Any]],
        earlier: Sequence[str] = (),
        told: Sequence[str] = (),
        most: int = MOST_CHARACTERS,
        *,
        can_read: bool = True,
    ) -> Looked:
        """Return the facts of the tables that a question names, else of those named before, or of all if there are few.

        Args:
            question: The question.
            entries: The files of the workspace.
            earlier: The earlier texts of the conversation, latest first.
            told: The facts that were given with earlier questions.
            most: Maximum number of characters, approximately.
            can_read: Whether a session has `toolbox.read`.
        """
        tables = [entry for entry in entries if is_table(entry["name"])]
        absent, near = _absent(question, entries)
        fresh = _fresh([entry["name"] for entry in entries], earlier, told)
        chosen = _chosen_tables(question, tables, near, fresh, earlier, is_first=not told)[:MOST_TABLES]
        texts = list(absent)
        columns: dict[str, Sequence[str]] = {}
        values: dict[str, Mapping[str, Sequence[str]]] = {}
        numbers: dict[str, Sequence[str]] = {}
        dates: dict[str, Sequence[str]] = {}
        samples: dict[str, Mapping[str, Sequence[str]]] = {}
        odd: list[str] = []
        for entry in chosen:
            text, known = await self._facts(entry, question, most // len(chosen), can_read=can_read)
            if known.reading and can_read:
                odd.append(entry["name"])
            if not any(text in before for before in told):
                texts.append(text)
            if known.columns:
                columns[entry["name"]] = tuple(column.name for column in known.columns)
                values[entry["name"]] = {
                    column.name: known.values[column.address]
                    for column in known.columns
                    if column.address in known.values
                }
                numbers[entry["name"]] = [
                    column.name for column in known.columns if holds_numbers(column, known, by_toolbox=can_read)
                ]
                samples[entry["name"]] = {
                    column.name: known.cells[column.address]
                    for column in known.columns
                    if column.type in TEXT_TYPES and column.address in known.cells
                }
                by_toolbox = bool(known.reading) and can_read
                dates[entry["name"]] = [
                    column.name for column in known.columns if is_date_as_text(column, known, by_toolbox=by_toolbox)
                ]
        contents = Contents(values, numbers, columns, dates, samples)
        texts += [text for text in _merging(contents) if not any(text in before for before in told)]
        paths = tuple(entry["name"] for entry in chosen)
        others = [entry["name"] for entry in entries if entry["name"] not in paths]
        texts += _listed("New files", [name for name in others if name in fresh])
        texts += _listed("Other files", [name for name in others if name not in fresh])
        return Looked(paths, "\n\n".join(texts), columns, contents, tuple(odd))

    async def _facts(self, entry: Mapping[str, Any], question: str, most: int, *, can_read: bool) -> tuple[str, Known]:
        path, size = str(entry["name"]), entry["size"]
        key = (path, size, entry["modified"])
        known = self._seen.pop(key, None) or Known()
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await self._find_out(known, path, size or 0, question)
        except AnalystdError as exc:
            if not known.columns:
                return f"{file_name(path)} cannot be read as a table: {exc.message}", known
            logger.info("%s was not looked at whole: %s", path, exc.message)
        except TimeoutError:
            logger.info("%s was not looked at whole within %g s", path, LOOK_SECONDS)
        if not known.columns and known.rows is None:
            return f"{file_name(path)} is large; its columns are not known yet", known
        self._seen[key] = known
        while len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        return table_text(path, size, known, chosen_columns(known.columns, question), most, can_read=can_read), known

    async def _find_out(self, known: Known, path: str, size: int, question: str) -> None:
        """Find out the missing facts, the slowest last."""
        source = FileInJail(path)
        if not known.columns:
            schema = await self._data.view(source, ViewRequest("schema"))
            known.columns = named_columns(schema["columns"] or [], delimited=_suffix(path) not in _TYPED)
            known.typed = _suffix(path) in _TYPED | _EXCEL
            # The addresses of columns with the same name are used in views and are of no use in a program.
            known.notes = [note for note in schema["warnings"] if not note.startswith("Several columns")][:_MOST_NOTES]
        chosen = chosen_columns(known.columns, question)
        await self._sample(known, source, [column for column in chosen if column.address not in known.cells])
        if known.reading is None:
            known.reading = await self._reading(known, path)
        if known.rows is None and size <= PROFILED_BYTES:
            known.rows = (await self._data.view(source, ViewRequest("shape")))["num_rows"]
        unknown = [column for column in chosen if column.address not in known.facts]
        if size <= PROFILED_BYTES and unknown:
            addresses = tuple(column.address for column in unknown)
            profile = await self._data.view(source, ViewRequest("profile", n_rows=len(addresses), columns=addresses))
            for column, each in zip(unknown, profile.get("profiles") or (), strict=False):
                known.facts[column.address] = profile_fact(column, each)
                if (values := all_values(column, each)) is not None:
                    known.values[column.address] = values
        if known.rows is None:
            known.rows = (await self._data.view(source, ViewRequest("shape")))["num_rows"]

    async def _sample(self, known: Known, source: FileInJail, columns: Sequence[ColumnFacts]) -> None:
        """Read the first rows of columns."""
        if not columns:
            return
        addresses = tuple(column.address for column in columns)
        head = await self._data.view(source, ViewRequest("head", n_rows=SAMPLE_ROWS, columns=addresses))
        for at, column in enumerate(columns):
            cells = [row[at] for row in head["rows"] or ()]
            known.cells[column.address] = [cell_text(cell) for cell in cells]
            known.keys[column.address] = keys_of(cells)
            known.beginnings[column.address] = sample_fact(column, cells)

    async def _reading(self, known: Known, path: str) -> str:
        """Return why a program should not read a file in the most obvious way; empty if it may."""
        suffix = _suffix(path)
        if suffix in _JSON:
            return "" if suffix == ".json" else "each line is a JSON object"
        if suffix in _TYPED | _EXCEL:
            return ""
        kinds = {written_as_text(known.cells.get(each.address, ())) for each in known.columns if each.type == "text"}
        reasons = [
            f"{kind} are written as text, of which it makes {kind}" for kind in ("numbers", "dates") if kind in kinds
        ]
        if path == without_compression(path):
            first = await self._data.read_file(path, offset=1, limit=1)
            if first["text"].count(",") < len(known.columns) - 1 and not first["text"].startswith("#"):
                reasons.insert(0, "commas do not separate its cells")
            if first.get("encoding", "utf-8").lower() not in ("utf-8", "ascii", "us-ascii"):
                reasons.append(f"it is {first['encoding']}")
        return " and ".join(reasons)


def _merging(contents: Contents) -> list[str]:
    """Return a sentence about the columns that tables have in common."""
    ways = list(contents.merges.values())
    return [f"What stands in both tables is put together by {' and '.join(ways)}"] if ways else []


def _chosen_tables(
    question: str,
    tables: Sequence[Mapping[str, Any]],
    near: Sequence[str],
    fresh: Sequence[str],
    earlier: Sequence[str],
    *,
    is_first: bool,
) -> Sequence[Mapping[str, Any]]:
    """Return the tables to look at: those the question names, or nearly names; for a first question, else all if they are few.

    Otherwise those whose name shares a word with the question, else those that a program created, else those named last.
    """
    named = [entry for entry in tables if is_named(question, entry["name"])]
    named += [entry for entry in tables if entry["name"] in near and entry not in named]
    if not named and _FROM_NOTHING.search(question):
        return []
    few = tables if len(tables) <= MOST_TABLES else []
    if named or (few and is_first):
        return named or few
    asked = words(question)
    called = [entry for entry in tables if asked & words(PurePosixPath(entry["name"]).name.partition(".")[0])]
    before = [[entry for entry in tables if is_named(text, entry["name"])] for text in earlier]
    made = [entry for entry in tables if entry["name"] in fresh]
    return called or made or next(filter(None, before), list(few))


def _absent(question: str, entries: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[str]]:
    """Return sentences about missing files that the question names, and the existing files with the most similar names.

    Files that the question asks to write are left out.
    """
    names = [str(entry["name"]) for entry in entries]
    by_name = {PurePosixPath(name).name.casefold(): name for name in names}
    said, near = list[str](), list[str]()
    for word in files_named_in(question):
        wanted = PurePosixPath(word).name.casefold()
        # A word may be the end of a name with spaces.
        if any(name.endswith(wanted) for name in by_name) or _is_target(question, word):
            continue
        alike = [by_name[each] for each in difflib.get_close_matches(wanted, by_name, n=3, cutoff=_NEAR)]
        like = f"; the nearest names are {', '.join(map(file_name, alike))}" if alike else ""
        said.append(f"There is no file {file_name(word)}{like}.")
        near += alike[:1]
    return said[:MOST_TABLES], near[:MOST_TABLES]


def _is_target(question: str, word: str) -> bool:
    """Return whether a question says that a file is to be written, not only read."""
    before = _INTO if _WRITING.search(question) else _AS
    return bool(re.search(rf"{before}\W{{0,3}}{re.escape(word)}", question, re.IGNORECASE))


def _fresh(names: Sequence[str], earlier: Sequence[str], told: Sequence[str]) -> list[str]:
    """Return the files that no earlier question listed; if a list was cut, those of them that a program or an answer names."""
    if not told:
        return []
    untold = [name for name in names if not any(file_name(name) in text for text in told)]
    if not any(_CUT_LIST.search(text) for text in told):
        return untold
    return [name for name in untold if any(is_named(text, name) for text in earlier)]


def _listed(title: str, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    more = len(names) - _MOST_FILES
    shown = ", ".join(file_name(name) for name in names[:_MOST_FILES])
    return [f"{title}: {shown}{f' and {more} more' if more > 0 else ''}"]


def _suffix(path: str) -> str:
    return PurePosixPath(without_compression(path)).suffix.lower()
