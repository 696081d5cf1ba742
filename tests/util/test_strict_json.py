from __future__ import annotations

import json
from typing import Any

import pytest

from analystd.util.strict_json import EncodedJson, NotEncodableError, cut, encoded, is_nested_deeper


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "body"),
    [
        ({"text": "ü\ud800"}, '{"text":"ü\\ud800"}'.encode()),
        ({"\udfffä": 1}, '{"\\udfffä":1}'.encode()),
        ([float("nan"), float("inf"), -float("inf"), 0.5], b'["NaN","Infinity","-Infinity",0.5]'),
        ({"a": [float("nan"), "\udfff"]}, b'{"a":["NaN","\\udfff"]}'),
    ],
)
def test_values_without_a_json_or_utf_8_form_are_encoded_validly(value: Any, body: bytes) -> None:
    assert encoded(value) == body
    json.loads(body.decode())


def test_half_a_surrogate_pair_does_not_make_the_rest_longer() -> None:
    assert len(encoded(["é" * 1000, "\ud800"])) == len(encoded(["é" * 1000, ""])) + len(r"\ud800")


@pytest.mark.parametrize("extra", [{}, {"odd": float("nan")}])
def test_encoded_parts_are_filled_in_at_their_places(extra: dict[str, Any]) -> None:
    first, second = EncodedJson(b'{"x":[1,"\xc3\xbc"]}'), EncodedJson(b'"two"')
    body = encoded({"a": first, "b": ["\ud800", second, first], **extra})
    assert json.loads(body) == {
        "a": {"x": [1, "ü"]},
        "b": ["\ud800", "two", {"x": [1, "ü"]}],
        **dict.fromkeys(extra, "NaN"),
    }


def circle() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize("value", [nested(100_000), circle(), object(), {(1, 2): 3}])
def test_a_value_without_a_json_form_is_rejected(value: Any) -> None:
    with pytest.raises(NotEncodableError):
        encoded(value)


def test_nesting_is_measured_at_any_depth() -> None:
    assert not is_nested_deeper(nested(200), 200)
    assert is_nested_deeper(nested(201), 200)
    assert is_nested_deeper({"a": nested(100_000)}, 200)


HUGE: list[Any] = [
    {"text": "x" * 30_000_000},
    {"x" * 30_000_000: 1},
    {f"{number:x<100}": "" for number in range(300_000)},
    [["x"] * 10] * 300_000,
    {"a": {"b": {"c": ["\ud800" * 1_000_000] * 30}}},
    {"encoded": EncodedJson(b'"%b"' % (b"x" * 30_000_000))},
    [nested(50)] * 1_000_000,
    nested(100_000),
    circle(),
    {"number": 1 << 4_000_000},
    {"bytes": b"x" * 30_000_000},
]


@pytest.mark.parametrize("value", HUGE, ids=range(len(HUGE)))
def test_large_values_are_cut_in_any_field(value: Any) -> None:
    event = {"seq": 1, "run_id": "run_1", "result": {"status": "ok", "stdout": "out", "what": value}, "small": "kept"}
    shorter = cut(event, 10_000_000)
    assert len(encoded(shorter)) <= 10_000_000
    assert (shorter["seq"], shorter["run_id"], shorter["small"]) == (1, "run_1", "kept")
    assert shorter["result"].keys() == event["result"].keys()  # type: ignore[attr-defined]
    assert (shorter["result"]["status"], shorter["result"]["stdout"]) == ("ok", "out")


def test_small_values_stay_unchanged() -> None:
    value = {"a": [1, 2.5, None, True, {"b": "text"}], "c": EncodedJson(b"[1]")}
    assert cut(value, 1000) == value
