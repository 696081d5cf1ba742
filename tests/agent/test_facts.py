from __future__ import annotations

from typing import Any

import pytest

from analystd.agent.facts import fact_of, without_deprecations


@pytest.mark.parametrize(
    ("tool", "arguments", "ok", "output", "fact"),
    [
        (
            "data_view",
            {"path": "t.csv", "operation": "shape"},
            True,
            "Shape: 2 rows × 1 columns\nColumns: a",
            "data_view: shape of t.csv: Shape: 2 rows × 1 columns; Columns: a",
        ),
        ("data_view", {"path": "t.csv", "operation": "head"}, True, "a\n1\n2", "data_view: head of t.csv: 3 lines"),
        ("pyexe", {"code": "x"}, True, "rows read\n17.25\n", "pyexe: ok, 17.25"),
        ("pyexe", {"code": "x"}, True, "", "pyexe: ok, no output"),
        (
            "pyexe",
            {"code": "x"},
            False,
            "half\nNameError: name 'x' is not defined (line 1)",
            "pyexe failed: NameError: name 'x' is not defined (line 1)",
        ),
        ("read_file", {"path": "n.txt", "offset": 11}, True, "a\nb\nc", "read_file: n.txt, lines 11 to 13"),
        ("read_file", {"path": "n.txt", "byte_limit": 9}, True, "a\nb", "read_file: n.txt from byte 0, 2 lines"),
        ("list_files", {}, True, "a.csv\nb.csv", "list_files: 2 lines of names"),
        ("write_file", {"path": "o.txt"}, True, "Wrote 5 bytes to o.txt", "write_file: Wrote 5 bytes to o.txt"),
        ("other", {}, True, "", "other: done"),
    ],
)
def test_a_fact_tells_what_was_asked_and_what_came_of_it(
    tool: str, arguments: dict[str, Any], ok: bool, output: str, fact: str
) -> None:
    assert fact_of(tool, arguments, ok, output) == fact


def test_a_fact_is_short_whatever_the_output() -> None:
    for tool in ("data_view", "pyexe", "read_file", "list_files", "write_file"):
        for ok in (True, False):
            assert len(fact_of(tool, {"path": "p" * 10_000}, ok, "Shape" + "x" * 1_000_000)) < 400


def test_warnings_of_what_will_change_one_day_are_left_out() -> None:
    output = (
        "12\n<cell 3>:3: Pandas4Warning: The inplace keyword\nSee the documentation.\n  df.dropna(inplace=True)\n"
        "/lib/x.py:12: FutureWarning: it will\n  warnings.warn(\n"
        "<cell 3>:4: RuntimeWarning: divide by zero\n  x / 0\n7"
    )
    assert without_deprecations(output) == "12\n<cell 3>:4: RuntimeWarning: divide by zero\n  x / 0\n7"
