from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from analystd.data.formats import Formats
from analystd.data.positioned_file import PositionedFile
from analystd.data.text import text_cache
from analystd.data.text.content import Content
from analystd.data.text.csv_table import CsvFacts, CsvTable, learn_csv
from analystd.data.text.text_cache import TextCache
from analystd.wire.errors import WorkspaceError

BEGINNING = b"a,b\n" + b"1,2\n" * 50_000


@contextmanager
def opened(path: Path) -> Iterator[PositionedFile]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield PositionedFile.of_descriptor(path.name, descriptor)
    finally:
        os.close(descriptor)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "x.csv"
    path.write_bytes(BEGINNING)
    return path


def facts_of(texts: TextCache, path: Path) -> CsvFacts:
    with opened(path) as file:
        content = texts.open(file)
        facts = texts.learn(file, content, "csv", learn_csv)
        facts.index.count(content)
        return facts


def test_cached_facts_stay_while_the_file_is_unchanged(path: Path) -> None:
    texts = TextCache()
    assert facts_of(texts, path) is facts_of(texts, path)


def test_an_index_is_extended_where_a_file_grew(path: Path) -> None:
    texts = TextCache()
    first = facts_of(texts, path)
    with path.open("ab") as file:
        file.write(b'3,"4\n' * 4)
    with opened(path) as file:
        content = texts.open(file)
        facts = texts.learn(file, content, "csv", learn_csv)
        assert facts is not first
        assert facts.columns is first.columns
        assert facts.index.total is None
        table = CsvTable(content, facts)
        assert table.count_rows() == 50_002
        assert table.rows(49_999, 9, [0, 1]).cells == [["1", "2"], ["3", "4\n3,4"], ["3", "4\n3,4"]]


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.replace(b"1,2\n", b"1,22\n", 1) + b"x,y\n",
        lambda data: b"a,b\n" + b"111,222\n" * 50_000,
        lambda data: data[:-4] + b"12\n\n" + b"x,y\n",
        lambda data: data[: len(data) // 2],
    ],
)
def test_another_content_is_not_taken_for_growth(path: Path, change: Callable[[bytes], bytes]) -> None:
    texts = TextCache()
    facts_of(texts, path)
    changed = change(BEGINNING)
    path.write_bytes(changed)
    assert facts_of(texts, path).index.total == sum(1 for line in changed.splitlines() if line)


def test_a_change_within_one_tick_of_the_clock_is_noticed(path: Path) -> None:
    texts = TextCache()
    before = facts_of(texts, path)
    with opened(path) as file:
        known = texts._files[file.key[:2]]
        changed = b"a,b\n" + b"1\n,2" * 50_000
        path.write_bytes(changed)
    with opened(path) as file:
        # As if the clock had stood still between the two.
        known.key, known.settled = file.key, False
    after = facts_of(texts, path)
    assert after is not before


def test_compressed_files_are_analysed_again_when_they_change(tmp_path: Path) -> None:
    texts = TextCache()
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(BEGINNING))
    assert facts_of(texts, path) is facts_of(texts, path)
    with path.open("ab") as file:
        file.write(gzip.compress(b"5,6\n"))
    assert facts_of(texts, path).index.total == 50_002


def test_forgotten_facts_are_learned_again(path: Path) -> None:
    texts = TextCache()
    facts = facts_of(texts, path)
    with opened(path) as file:
        texts.forget(file)
    assert facts_of(texts, path) is not facts


def test_only_the_last_files_are_remembered(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_cache, "_FILES_REMEMBERED", 2)
    texts = TextCache()
    first = facts_of(texts, path)
    for number in range(2):
        other = tmp_path / f"{number}.csv"
        other.write_bytes(b"a\n1\n")
        facts_of(texts, other)
    assert facts_of(texts, path) is not first


def test_an_error_while_learning_leaves_nothing_behind(path: Path) -> None:
    texts = TextCache()

    def fail(content: Content) -> CsvFacts:
        raise WorkspaceError("unreadable")

    with opened(path) as file, pytest.raises(WorkspaceError):
        texts.learn(file, texts.open(file), "csv", fail)
    assert facts_of(texts, path).index.total == 50_001


@pytest.mark.parametrize("delimiter", [None, ";"])
def test_a_compressed_table_in_utf16_is_a_table(tmp_path: Path, delimiter: str | None) -> None:
    path = tmp_path / "export.csv.gz"
    path.write_bytes(gzip.compress("sep=;\r\nname;price\r\nKöln;1,5\r\n".encode("utf-16")))
    with opened(path) as file:
        table = Formats().open_table(file, delimiter)
        assert [column["name"] for column in table.columns] == ["name", "price"]
        assert table.rows(0, 5, [0, 1]).cells == [["Köln", "1,5"]]
        assert table.count_rows() == 1
        assert table.tail(1, [0, 1]).cells == [["Köln", "1,5"]]
