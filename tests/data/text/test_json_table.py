from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from analystd.data.formats import Formats
from analystd.data.positioned_file import PositionedFile
from analystd.data.text import json_columns
from analystd.data.text.json_records import MAX_DEPTH, parse_records
from analystd.data.text.json_table import JsonTable
from analystd.data.view_request import ViewRequest
from analystd.data.views import view
from analystd.wire.errors import WorkspaceError

pytestmark = pytest.mark.slow

OpenFile = Callable[..., PositionedFile]


@pytest.fixture
def opened(open_bytes: OpenFile) -> Callable[..., JsonTable]:
    """Opens text as JSON Lines."""

    def open_text(text: str | bytes, name: str = "x.jsonl") -> JsonTable:
        content = text if isinstance(text, bytes) else text.encode()
        table = Formats().open_table(open_bytes(content, name))
        assert isinstance(table, JsonTable)
        return table

    return open_text


Opened = Callable[..., JsonTable]


def lines(*records: Any) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def test_columns_are_the_keys_in_the_order_of_their_appearance(opened: Opened) -> None:
    records = [
        {"i": 1, "n": 1, "b": True, "t": "x", "o": {"a": 1}, "l": [1], "e": None, "m": 1},
        {"n": 1.5, "m": "x", "late": 2, "i": None},
    ]
    result = view(opened(lines(*records)), ViewRequest("schema"))
    assert {column["name"]: column["type"] for column in result["columns"] or []} == {
        "i": "integer",
        "n": "number",
        "b": "boolean",
        "t": "text",
        "o": "object",
        "l": "array",
        "e": "empty",
        "m": "mixed",
        "late": "integer",
    }


def test_a_key_that_is_missing_is_null_and_nested_values_stay_json(opened: Opened) -> None:
    table = opened(lines({"a": {"x": [1, None, {"y": "é"}]}}, {"b": False}))
    assert table.rows(0, 5, [1, 0]).cells == [[None, {"x": [1, None, {"y": "é"}]}], [False, None]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("9007199254740992", 2**53),
        ("9007199254740993", "9007199254740993"),
        ("-9007199254740993", "-9007199254740993"),
        ("-0", "-0"),
        ("9" * 10_000, "9" * 10_000),
        ("1.50", 1.5),
        ("0.1", 0.1),
        ("1e3", 1000.0),
        ("0.1000000000000000055511151231257827", "0.1000000000000000055511151231257827"),
        ("12345678901234567.25", "12345678901234567.25"),
        ("1e999", "1e999"),
        ("1e-999", "1e-999"),
        ("1e99999999999999999999", "1e99999999999999999999"),
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
        ('"9007199254740993"', "9007199254740993"),
    ],
)
def test_numbers_that_doubles_represent_are_json_numbers_and_others_are_text(
    opened: Opened, text: str, expected: Any
) -> None:
    table = opened(f'{{"x": {text}, "y": [{text}]}}\n')
    cells = table.rows(0, 1, [0, 1]).cells
    assert cells == [[expected, [expected]]]
    assert type(json.loads(json.dumps(cells, allow_nan=False))[0][0]) is type(expected)


def test_late_surprises_are_reported_with_their_rows(opened: Opened) -> None:
    records = [json.dumps({"n": number}) for number in range(5000)]
    records[4990] = '{"n": 1, "x": 2}'
    records[4991] = "[1, 2]"
    records[4992] = '{"n": 1'
    records[4993] = '{"n": 1, "n": 2}'
    records[4994] = '{"n": "\\ud800"}'
    table = opened("\n".join(records) + "\n")
    found = table.rows(4989, 20, [0])
    assert [row[0] for row in found.cells[:7]] == [4989, 1, None, None, 2, "�", 4995]
    assert found.warnings == (
        "Row 4990 has keys that are not columns: 'x'",
        "Row 4991 is not a JSON object: [1, 2]",
        'Row 4992 is not a JSON object: {"n": 1',
        "Row 4993 has the key 'n' twice; the last value is shown",
        "Row 4994 has an unpaired surrogate, which is shown as �",
    )


def test_invalid_utf_8_is_reported(opened: Opened) -> None:
    found = opened(b'{"n": "a"}\n{"n": "\xff"}\n').rows(0, 2, [0])
    assert found.cells == [["a"], ["�"]]
    assert found.warnings == ("Row 1 is not valid UTF-8; invalid bytes are shown as �",)


def test_names_that_are_not_utf_8_have_their_values_also_in_chunks(opened: Opened) -> None:
    table = opened(b'{"\xff": 1, "\\udc00b": 2}\n' * 2)
    assert [column["name"] for column in table.columns] == ["�", "�b"]
    (part,) = table.column_chunks([0, 1])
    assert [array.to_pylist() for array in part.arrays] == [[1, 1], [2, 2]]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_compressed_and_otherwise_encoded_lines_are_read(opened: Opened, encoding: str) -> None:
    text = lines({"a": "x"}, {"a": "y"}).encode(encoding)
    for content, name in ((text, "x.jsonl"), (gzip.compress(text), "x.jsonl.gz")):
        assert opened(content, name).rows(0, 5, [0]).cells == [["x"], ["y"]]
        assert opened(content, name).tail(1, [0]).cells == [["y"]]


def test_many_surprises_of_a_kind_are_counted(opened: Opened) -> None:
    found = opened(lines(*[{"n": 1}] * 200) + "oops\n" * 10).rows(0, 300, [0])
    assert found.warnings[:1] == ("Row 200 is not a JSON object: oops",)
    assert found.warnings[3:] == ("… and so do 7 more of the rows shown",)


@pytest.mark.parametrize("bomb", ["[" * 100_000, '{"a":' * 100_000, '{"a": ' + "[" * 900 + "]" * 900 + "}"])
def test_depth_bombs_are_rows_that_are_not_objects(opened: Opened, bomb: str) -> None:
    found = opened(lines({"a": 1}, {"a": 2}, {"a": 3}) + bomb + "\n").rows(0, 9, [0])
    assert found.cells == [[1], [2], [3], [None]]
    assert found.warnings[0].startswith("Row 3 is not a JSON object: ")


def test_values_as_deep_as_allowed_are_shown() -> None:
    inner = "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)
    shown, refused = parse_records([b'{"a": %s}' % inner.encode(), b'{"a": [[%s]]}' % inner.encode()])
    assert (shown.trouble, refused.trouble) == (None, "values are nested more than 128 deep")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[\n{"a": 1},\n{"a": 2}\n]', "x.json is a JSON array; analystd reads JSON Lines"),
        ('[{"a": 1}, {"a": 2}]', "x.json is a JSON array"),
        ('{\n"a": [\n1\n]\n}', "x.json is one JSON object over several lines"),
        ("1\n2\n", "x.json is not JSON Lines"),
    ],
)
def test_other_json_is_refused_with_what_it_is(opened: Opened, text: str, message: str) -> None:
    with pytest.raises(WorkspaceError, match=message):
        opened(text, "x.json")


def test_json_that_is_one_object_a_line_is_a_table(opened: Opened) -> None:
    assert opened(lines({"a": 1}, {"a": 2}), "x.json").count_rows() == 2
    empty = view(opened("", "x.ndjson"), ViewRequest("shape"))
    assert (empty["num_rows"], empty["warnings"]) == (0, ["The file is empty"])


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_rows_are_found_from_both_ends(opened: Opened, end: str) -> None:
    text = "\ufeff" + end.join(json.dumps({"n": number, "s": "é\n" * 30}) for number in range(40_000))
    table = opened(text)
    assert table.tail(2, [0]).cells == [[39_998], [39_999]]
    assert table.rows(31_000, 1, [0]).cells == [[31_000]]
    assert table.count_rows() == 40_000
    assert sum(part.num_rows for part in table.column_chunks([0])) == 40_000


def test_chunks_have_numbers_as_numbers_and_the_rest_as_bytes(opened: Opened) -> None:
    records = [
        {"i": 1, "n": 0.5, "b": True, "t": "x", "o": {"a": 1}},
        {"i": None, "n": 2, "b": None, "o": None, "more": 1},
    ]
    table = opened(lines(*records) + '{"i": 3}')
    (part,) = table.column_chunks([0, 1, 2, 3])
    assert [array.to_pylist() for array in part.arrays] == [
        [1, None, 3],
        [0.5, 2.0, None],
        [b"true", None, None],
        [b"x", None, None],
    ]
    assert [array.type for array in part.arrays] == [pa.int64(), pa.float64(), pa.binary(), pa.binary()]
    (part,) = table.column_chunks([4])
    assert part.arrays[0].to_pylist() == [b'{"a": 1}', None, None]


def test_chunks_hold_large_integers_exactly_and_count_mismatches(opened: Opened) -> None:
    good = lines(*[{"i": 1, "n": 1.5}] * 200)
    (part,) = opened(f'{good}{{"i": "x", "n": true}}\n{{"i": {2**70}, "n": 1e999}}\n').column_chunks([0, 1])
    assert part.mismatches == [1, 1]
    assert part.arrays[0][-1].as_py() == 2**70
    assert part.arrays[1][-1].as_py() == float("inf")
    (part,) = opened(good + '{"i": 0.5}\n').column_chunks([0])
    assert part.arrays[0].type == pa.float64()


def test_most_chunks_are_parsed_quickly(opened: Opened) -> None:
    table = opened(lines(*[{"i": 1, "n": 1.5, "b": True, "t": "x", "o": {}}] * 10))
    (chunk,) = table._records.chunks()
    assert list(json_columns._quick(chunk, table.columns)) == ["i", "n", "b", "t"]


def test_quick_and_slow_chunks_are_the_same(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(5)
    texts = ["", "é", 'quote " and \\ and \n', "\u2028", "😀", "0"]
    records = [
        {
            "i": chance.choice([None, chance.randrange(-(2**63), 2**63)]),
            "n": chance.choice([None, chance.random() * 10 ** chance.randrange(-300, 300), 5]),
            "b": chance.choice([None, True, False]),
            "t": chance.choice([None, *texts]),
        }
        for _ in range(3000)
    ]
    table = opened(lines(*records))
    (quick,) = table.column_chunks([0, 1, 2, 3])
    monkeypatch.setattr(json_columns, "_quick", lambda *_: {})
    (slow,) = table.column_chunks([0, 1, 2, 3])
    assert [array.type for array in quick.arrays] == [array.type for array in slow.arrays]
    for one, other, name in zip(quick.arrays, slow.arrays, records[0], strict=True):
        assert one.equals(other), name


@pytest.mark.parametrize(
    "odd",
    [
        "[" * 100_000,
        '{"i": 1, "i": 2}',
        '{"i": "\\ud800"}',
        "   ",
        "oops",
        '{"i": 1} {"i": 2}',
        "\\",
        '{"i": 1e5}',
        "\0",
    ],
)
def test_odd_lines_keep_chunks_aligned_with_rows(opened: Opened, odd: str) -> None:
    table = opened(lines(*[{"i": 1}] * 200) + odd + "\n" + lines({"i": 4}))
    (part,) = table.column_chunks([0])
    assert part.num_rows == len(part.arrays[0]) == 202
    assert part.arrays[0].to_pylist()[-1] == 4


def test_damage_anywhere_never_raises(opened: Opened) -> None:
    chance = random.Random(3)
    good = lines(*[{"i": number, "s": "text", "l": [1.5, {"a": None}]} for number in range(50)]).encode()
    for _ in range(200):
        damaged = bytearray(good)
        for _ in range(chance.randint(1, 10)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        table = opened(bytes(damaged))
        columns = range(len(table.columns))
        count = table.count_rows()
        cells = table.rows(0, 1000, columns).cells
        json.dumps(cells).encode()
        assert len(cells) == count == sum(part.num_rows for part in table.column_chunks(columns))
