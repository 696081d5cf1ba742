from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.viewer import Viewer

pytestmark = pytest.mark.slow

TOLD_BY_THE_FILE: dict[str, tuple[bytes, list[str], list[list[str]]]] = {
    "semicolons and decimal commas": (b"a;b\n1,5;2,5\n3,5;4\n", ["a", "b"], [["1,5", "2,5"], ["3,5", "4"]]),
    "tabs": (b"a\tb\n1,5\tx;y\n2\t3\n", ["a", "b"], [["1,5", "x;y"], ["2", "3"]]),
    "pipes": (b"a|b\n1,5|x;y\n", ["a", "b"], [["1,5", "x;y"]]),
    "commas and quoted semicolons": (b'a,b\n"1;2;3",x\n"4;5",y\n', ["a", "b"], [["1;2;3", "x"], ["4;5", "y"]]),
    "sep=;": (b"sep=;\na;b\n1;2\n", ["a", "b"], [["1", "2"]]),
    "sep=; after a byte order mark": (b"\xef\xbb\xbfsep=;\r\na;b\r\n1;2\r\n", ["a", "b"], [["1", "2"]]),
    "sep= of a delimiter that no file shows": (b"sep=:\na:b\n1,0:2,0\n", ["a", "b"], [["1,0", "2,0"]]),
    "sep= of a tab": (b"sep=\t\na\tb\n1\t2\n", ["a", "b"], [["1", "2"]]),
    "sep= with lone CR": (b"sep=;\ra;b\r1;2\r", ["a", "b"], [["1", "2"]]),
    "a cell that begins with sep=": (b"sep=,x\n1,2\n", ["sep=", "x"], [["1", "2"]]),
    "comments before the header": (b"# made by a logger\n# on a monday\na,b\n1,2\n", ["a", "b"], [["1", "2"]]),
    "comments with delimiters": (b"# a;b;c\n# d;e;f;g\nx,y\n1,2\n", ["x", "y"], [["1", "2"]]),
    "comments and blank lines": (b"# one\r\n\r\n# two\r\n\r\na,b\r\n1,2\r\n", ["a", "b"], [["1", "2"]]),
    "comments after a byte order mark": (b"\xef\xbb\xbf# one\na,b\n1,2\n", ["a", "b"], [["1", "2"]]),
    "comments with quotes that do not close": (b'# 5" pipe, "x\na,b\n1,2\n', ["a", "b"], [["1", "2"]]),
    "a header that begins with a hash": (b"#id,name\n1,x\n2,y\n", ["#id", "name"], [["1", "x"], ["2", "y"]]),
    "comments, then a header that begins with a hash": (
        b"# made by a logger\n#id,name\n1,x\n2,y\n",
        ["#id", "name"],
        [["1", "x"], ["2", "y"]],
    ),
}

CELLS = st.text(st.sampled_from("ab\"',;|\n\r\té€🦆 1.-#\0"), max_size=6)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.csv"


@pytest.mark.parametrize("what", TOLD_BY_THE_FILE)
def test_the_dialect_of_a_file_is_detected(what: str, path: Path) -> None:
    content, header, rows = TOLD_BY_THE_FILE[what]
    path.write_bytes(content)
    Viewer().check(path, header, rows)


def test_skipped_comments_are_reported_in_every_view(path: Path) -> None:
    path.write_bytes(b"# made by a logger\n# on a monday\na,b\n1,2\n")
    for operation in ("head", "shape", "tail", "rows", "columns"):
        assert any("comment" in warning for warning in Viewer().view(path, operation)["warnings"])


def test_a_given_delimiter_overrides_the_detected_one(path: Path) -> None:
    path.write_bytes(b"a,b;c\n1,2;3\n4,5;6\n")
    viewer = Viewer()
    viewer.check(path, ["a", "b;c"], [["1", "2;3"], ["4", "5;6"]])
    viewer.check(path, ["a,b", "c"], [["1,2", "3"], ["4,5", "6"]], delimiter=";")
    viewer.check(path, ["a,b;c"], [["1,2;3"], ["4,5;6"]], delimiter="|")
    viewer.check(path, ["a", "b;c"], [["1", "2;3"], ["4", "5;6"]])


def test_a_given_delimiter_can_be_any_character(path: Path) -> None:
    path.write_bytes(b'a:b\n1:"x:y"\n')
    Viewer().check(path, ["a", "b"], [["1", "x:y"]], delimiter=":")


def test_a_file_of_any_extension_is_a_table_if_the_delimiter_is_given(tmp_path: Path) -> None:
    path = tmp_path / "measured.log"
    path.write_bytes(b"a^b\n1^2\n")
    Viewer().check(path, ["a", "b"], [["1", "2"]], delimiter="^")


@pytest.mark.parametrize(("name", "delimiter"), [("x.tsv", "\t"), ("x.tab", "\t"), ("x.psv", "|")])
def test_the_extension_of_a_file_sets_its_delimiter(name: str, delimiter: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(f"a,x,y{delimiter}b\n1,2,3{delimiter}4\n")
    Viewer().check(path, ["a,x,y", "b"], [["1,2,3", "4"]])


@given(
    rows=st.lists(st.tuples(CELLS, CELLS, st.integers(-9, 9)), max_size=12),
    delimiter=st.sampled_from(",;\t|"),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL, csv.QUOTE_NONNUMERIC]),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
    coding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    cut=st.booleans(),
)
@settings(max_examples=250, deadline=None)
def test_what_pythons_csv_writes_is_read_back_by_every_view(
    rows: Sequence[tuple[str, str, int]],
    delimiter: str,
    quoting: int,
    line_end: str,
    coding: str,
    cut: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, delimiter=delimiter, quoting=quoting, lineterminator=line_end)  # type: ignore[arg-type]
    writer.writerows([("first", "second", "third"), *rows])
    text = stream.getvalue().removesuffix(line_end) if cut else stream.getvalue()
    # A carriage return may have been written without quotes: then it ends the row, for `csv` too.
    header, *read = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row]
    path = tmp_path_factory.getbasetemp() / "written.csv"
    path.write_text(text, encoding=coding, newline="")
    Viewer().check(path, header, [[*row, *[None] * (3 - len(row))] for row in read])
