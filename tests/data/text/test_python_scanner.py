"""The scanner in Python returns the same results as the compiled one for any text."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.text.slow_reader import ARMED, INSIDE, PLAIN
from tests.data.text.test_hostile_text import PLAIN_TABLES

from analystd.data.text import _records, python_scanner, scanner

QUOTE = ord('"')
NO_QUOTE = -1
STATES = (PLAIN, ARMED, INSIDE)

HOSTILE = st.lists(
    st.sampled_from(
        [b'"', b'""', b",", b"\n", b"\r\n", b"\r", b"\n\n", b'\n"', b',"', b'",', b"x", b"\0", b"\xff", b"\xe2\x82\xac"]
    ),
    max_size=150,
).map(b"".join)
RULES = st.tuples(
    st.sampled_from([b",", b";", b"\t", b"~", b"\xff", b"\0"]), st.sampled_from([QUOTE, QUOTE, NO_QUOTE, ord("'")])
)


@pytest.fixture(autouse=True, scope="module")
def short_pieces() -> Iterator[None]:
    """Use small pieces, so that borders fall everywhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(python_scanner, "_PIECE_BYTES", 7)
        yield


def outcome(function: Any, *arguments: Any) -> Any:
    """Return the result of a function, or the type and message of the error that it raises."""
    try:
        return function(*arguments)
    except Exception as exc:
        return type(exc), str(exc)


def require_same(name: str, *arguments: Any) -> None:
    assert outcome(getattr(python_scanner, name), *arguments) == outcome(getattr(_records, name), *arguments)


@given(text=HOSTILE, state=st.sampled_from(STATES), after_newline=st.booleans(), rule=RULES)
@settings(max_examples=200, deadline=None)
def test_counts_and_states_are_the_same(text: bytes, state: int, after_newline: bool, rule: tuple[bytes, int]) -> None:
    require_same("count", text, state, after_newline, *rule)


@given(text=HOSTILE, state=st.sampled_from(STATES), after_newline=st.booleans(), rule=RULES, number=st.integers(-1, 20))
@settings(max_examples=200, deadline=None)
def test_ends_are_found_at_the_same_places(
    text: bytes, state: int, after_newline: bool, rule: tuple[bytes, int], number: int
) -> None:
    require_same("find", text, state, after_newline, *rule, number)


@given(text=HOSTILE, rule=RULES, limit=st.integers(-1, 20))
@settings(max_examples=200, deadline=None)
def test_records_are_the_same(text: bytes, rule: tuple[bytes, int], limit: int) -> None:
    require_same("split", text, *rule, limit)


@given(text=HOSTILE, rule=RULES, errors=st.sampled_from(["strict", "replace", "backslashreplace"]))
@settings(max_examples=200, deadline=None)
def test_cells_are_the_same_and_so_are_their_errors(text: bytes, rule: tuple[bytes, int], errors: str) -> None:
    require_same("cells", text, *rule, errors)


@given(text=HOSTILE, block=st.integers(-1, 70), begin=st.integers(-1, 200), end=st.integers(-1, 400), rule=RULES)
@settings(max_examples=200, deadline=None)
def test_blocks_of_a_file_are_the_same_and_so_are_the_errors(
    text: bytes, block: int, begin: int, end: int, rule: tuple[bytes, int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "blocks.csv"
    path.write_bytes(text)
    with path.open("rb") as file:
        for after_newline in (False, True):
            require_same("count_blocks", file.fileno(), begin, end, block, after_newline, *rule)
            require_same("count_blocks", file.fileno(), begin, min(end, len(text)), block, after_newline, *rule)


def test_an_invalid_descriptor_is_the_same_error() -> None:
    require_same("count_blocks", -1, 0, 10, 4, True, b",", QUOTE)


@pytest.mark.parametrize("name", PLAIN_TABLES)
def test_tables_that_are_hard_to_read_are_the_same(name: str) -> None:
    text = PLAIN_TABLES[name][0]
    for delimiter in (b",", b";"):
        require_same("split", text, delimiter, QUOTE, 1000)
        for record in _records.split(text, delimiter, QUOTE, 1000)[0]:
            require_same("cells", record, delimiter, QUOTE, "replace")


@pytest.mark.parametrize("piece", [64, 1000, 64 * 1024])
@pytest.mark.parametrize("quotes", [0.0, 0.001, 0.2])
def test_large_texts_are_the_same(piece: int, quotes: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_scanner, "_PIECE_BYTES", piece)
    random_ = random.Random(piece + quotes)
    weights = [quotes, 0.1, 0.05, 0.01, 1.0]
    text = "".join(random_.choices(['"', ",", "\n", "\r\n", "x"], weights, k=300_000)).encode()
    path = tmp_path / "large.csv"
    path.write_bytes(text)
    with path.open("rb") as file:
        require_same("count_blocks", file.fileno(), 0, len(text), 70_000, True, b",", QUOTE)
    for state in STATES:
        require_same("count", text, state, True, b",", QUOTE)
        require_same("find", text, state, False, b",", QUOTE, 1000)
    require_same("split", memoryview(text), b",", QUOTE, 5000)


def test_the_compiled_one_is_used_where_it_is() -> None:
    assert scanner.is_compiled
    assert scanner.count is _records.count


def test_without_the_compiled_scanner_tables_are_the_same_and_doctor_says_so(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b'a,b\n1,"x\ny"\n2,"say ""hi"""\n' * 1000)
    code = """
import sys
{}
from analystd.cli.setup import scanner_check
from analystd.data.text import scanner
from analystd.data.text.dialect import sniff_dialect
text = open(sys.argv[1], "rb").read()
dialect = sniff_dialect(text, whole=True).dialect
records, _ = dialect.split(text, 10_000)
print([dialect.cells(record) for record in records])
print(scanner.is_compiled, scanner_check()["ok"], scanner_check()["found"], file=sys.stderr)
"""
    hidden = "sys.modules['analystd.data.text._records'] = None"
    done = [
        subprocess.run([sys.executable, "-c", code.format(line), path], capture_output=True, text=True, check=True)
        for line in ("", hidden)
    ]
    assert done[0].stdout == done[1].stdout
    assert [each.stderr.split()[:2] for each in done] == [["True", "True"], ["False", "True"]]
    assert "in Python" in done[1].stderr
