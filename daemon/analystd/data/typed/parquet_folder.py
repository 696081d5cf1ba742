"""A folder of Parquet files as one table: the rows of the files in order, with columns from their folders' names."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate

import pyarrow as pa

from analystd.data.lru import LruCache
from analystd.data.positioned_file import ProgressListener
from analystd.data.typed.arrow_groups import RowGroup
from analystd.data.typed.arrow_rows import GroupedTable
from analystd.data.typed.parquet_schemas import UnifiedSchema
from analystd.data.typed.parquet_table import ParquetTable
from analystd.data.typed.partition_discovery import (
    Member,
    Members,
    all_integers,
    find_members,
    folder_values,
    open_member,
)
from analystd.jail.workspace import Workspace
from analystd.wire.errors import WorkspaceError


@dataclass(frozen=True)
class _Footer:
    """The metadata in a member's footer."""

    member: Member
    schema: pa.Schema
    groups: tuple[RowGroup, ...]
    folder_values: dict[str, str | None]


@dataclass(frozen=True)
class FolderFacts:
    """The metadata from all footers."""

    schema: pa.Schema
    """The files' columns, then those from folders' names."""
    footers: tuple[_Footer, ...]
    warnings: tuple[str, ...]


class ParquetFolder(GroupedTable):
    """A folder whose files are opened one at a time, when their rows are read."""

    kind = "Parquet"

    def __init__(self, workspace: Workspace, folder: str, facts: FolderFacts, listener: ProgressListener) -> None:
        super().__init__(folder, listener)
        self._workspace = workspace
        self._facts = facts
        self.content_key = (os.path.normpath(folder), tuple(footer.member for footer in facts.footers))
        """A key that changes with any of the files."""
        self._firsts = list(accumulate((len(each.groups) for each in facts.footers), initial=0))
        self._set(facts.schema, [group for footer in facts.footers for group in footer.groups])

    @property
    def warnings(self) -> list[str]:
        """Warnings about ignored links and ambiguous names."""
        return list(self._facts.warnings)

    def _read(self, number: int, columns: Sequence[int], batch_rows: int) -> Iterator[list[pa.Array]]:
        at = bisect_right(self._firsts, number) - 1
        footer = self._facts.footers[at]
        names = [self._schema[column].name for column in columns]
        own = [name for name in names if name in footer.schema.names]
        with _opened(self._workspace, self.name, footer.member, self.listener) as table:
            places = [footer.schema.get_field_index(name) for name in own]
            for rows, arrays in _whole_group(table, number - self._firsts[at], places, batch_rows):
                # An error in widening the types names the member.
                with table.translated():
                    wide = [_widened(array, self._schema.field(name)) for name, array in zip(own, arrays, strict=True)]
                found = dict(zip(own, wide, strict=True))
                yield [self._column(column, found, footer, rows) for column in columns]

    def _column(self, column: int, found: dict[str, pa.Array], footer: _Footer, rows: int) -> pa.Array:
        field = self._schema[column]
        if field.name in found:
            return found[field.name]
        value = footer.folder_values.get(field.name) if field.name not in footer.schema.names else None
        if value is None:
            return pa.nulls(rows, field.type)
        return pa.repeat(pa.scalar(value).cast(field.type), rows)


def open_parquet_folder(
    workspace: Workspace, folder: str, listener: ProgressListener, known: LruCache
) -> ParquetFolder:
    """Return the table in a folder; the footers are read again only if one of its files differs from `known`.

    Raises:
        WorkspaceError: as `find_members`, for a damaged member, or members that do not fit together; it names the file.
        ResourceLimitError: for too many files.
    """
    members = find_members(workspace, folder, listener)
    key = (os.path.normpath(folder), members)
    return ParquetFolder(
        workspace, folder, known.learn(key, lambda: _learn(workspace, folder, members, listener)), listener
    )


def _learn(workspace: Workspace, folder: str, members: Members, listener: ProgressListener) -> FolderFacts:
    unified = UnifiedSchema()
    footers: list[_Footer] = []
    for count, member in enumerate(members.files, 1):
        with _opened(workspace, folder, member, listener) as table:
            # Equal files share one schema, because thousands of wide ones would fill the memory.
            alike = bool(footers) and footers[-1].schema.equals(table.schema)
            schema = footers[-1].schema if alike else table.schema
            groups = tuple(table.groups)
        if not alike:
            unified.add(schema, f"{folder.rstrip('/')}/{member.path}")
        footers.append(_Footer(member, schema, groups, folder_values(member.path)))
        listener.report(count / len(members.files))
    schema, warnings = _with_folder_columns(unified.schema, footers)
    if members.linked_folders:
        warnings.append(f"Links to folders are left out: {', '.join(members.linked_folders)}"[:1000])
    return FolderFacts(schema, tuple(footers), tuple(warnings))


def _with_folder_columns(schema: pa.Schema, footers: Sequence[_Footer]) -> tuple[pa.Schema, list[str]]:
    warnings = []
    for key in dict.fromkeys(key for footer in footers for key in footer.folder_values):
        if key in schema.names:
            warnings.append(f"{key!r} is a column of the files and also in folders' names; the files' values are shown")
            continue
        integers = all_integers([footer.folder_values.get(key) for footer in footers])
        schema = schema.append(pa.field(key, pa.int64() if integers else pa.string()))
    return schema, warnings


def _widened(array: pa.Array, field: pa.Field) -> pa.Array:
    return array if array.type == field.type else array.cast(field.type)


def _whole_group(
    table: ParquetTable, number: int, columns: Sequence[int], batch_rows: int
) -> Iterator[tuple[int, list[pa.Array]]]:
    """Yield the arrays of a member's group in batches, with their row counts, because there may be no columns."""
    rows = table.groups[number].rows
    if not columns:
        yield from ((min(batch_rows, rows - at), []) for at in range(0, rows, batch_rows))
        return
    for arrays in table.arrays(number, 0, rows, columns, batch_rows):
        yield len(arrays[0]), arrays


@contextmanager
def _opened(workspace: Workspace, folder: str, member: Member, listener: ProgressListener) -> Iterator[ParquetTable]:
    file = open_member(workspace, folder, member.path, listener)
    try:
        if file.key != member.key:
            raise WorkspaceError(f"{file.name} changed while {folder} was read", "Try again when it is complete")
        yield ParquetTable(file)
    finally:
        os.close(file.descriptor)
