from __future__ import annotations

from analystd.data.table_text import cell_text, column_list, grid, printable, width
from analystd.wire.results import ColumnInfo


def columns(**types: str) -> list[ColumnInfo]:
    return [ColumnInfo(name=name, type=kind) for name, kind in types.items()]


def test_columns_are_aligned_and_numbers_stand_right() -> None:
    text = grid(columns(name="text", price="number", n="int64"), [["a", "1.50", 10], ["bcd", "10.25", None]])
    assert text.splitlines() == ["name  price     n", "a      1.50    10", "bcd   10.25  null"]


def test_wide_characters_take_two_columns() -> None:
    assert width("日経225") == 7
    assert grid(columns(name="text", n="integer"), [["日経225", "1"], ["DAX", "20"]]).splitlines() == [
        "name      n",
        "日経225   1",
        "DAX      20",
    ]


def test_a_long_cell_is_cut_with_a_mark() -> None:
    assert cell_text("x" * 60) == "x" * 60
    assert cell_text("x" * 61) == "x" * 59 + "…"
    assert width(cell_text("日" * 100)) <= 60


def test_cells_cannot_break_the_grid_or_command_the_terminal() -> None:
    assert cell_text('two\nlines\tand "\x1b[31mred') == 'two\\nlines\\tand "\\x1b[31mred'
    assert printable("a\u202eb\ud800") == "a\\u202eb\\ud800"
    assert printable("1\u202f000\u00a0€") == "1\u202f000\u00a0€"


def test_values_that_are_not_text_are_shown_as_json() -> None:
    assert [cell_text(value) for value in (None, True, 1.5, [1, "é"], {"a": None})] == [
        "null",
        "true",
        "1.5",
        '[1, "é"]',
        '{"a": null}',
    ]


def test_rows_longer_than_the_header_show_all_their_cells() -> None:
    assert grid(columns(a="integer"), [["1"], ["2", "x"]]).splitlines() == ["a", "1", "2  x"]


def test_a_table_of_very_many_columns_says_how_many_are_left_out() -> None:
    many = columns(**{f"c{number}": "integer" for number in range(150)})
    lines = grid(many, [["1"] * 150]).splitlines()
    assert len(lines[0].split()) == 100
    assert lines[-1] == "… and 50 more columns"


def test_names_are_listed_with_their_types() -> None:
    assert column_list(["id", "price"], ["int64", "double"]) == ["id     int64", "price  double"]
