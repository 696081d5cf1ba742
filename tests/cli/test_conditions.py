"""What people type after `--filter`, `--sort` and `--columns`."""

from __future__ import annotations

from argparse import ArgumentTypeError
from typing import Any

import pytest

from analystd.cli.conditions import condition, delimiter, names, sort_key


@pytest.mark.parametrize(
    ("text", "column", "op", "value"),
    [
        ("close > 17000", "close", ">", 17000),
        ("close <= -1500.5", "close", "<=", -1500.5),
        ("symbol = BTC", "symbol", "=", "BTC"),
        ("  symbol   !=   BTC  ", "symbol", "!=", "BTC"),
        ("last price >= 10", "last price", ">=", 10),
        ("note = a = b", "note", "=", "a = b"),
        ("code = 007", "code", "=", "007"),
        (f"big < 1{'0' * 400}", "big", "<", 10**400),
        ("code = 1.50", "code", "=", "1.50"),
        ("close > 1e3", "close", ">", "1e3"),
        ("close > 0.12345678901234567890", "close", ">", "0.12345678901234567890"),
        ("big = 12345678901234567890", "big", "=", 12345678901234567890),
        ('code = "7"', "code", "=", "7"),
        ("code = '7'", "code", "=", "7"),
        ('note = ""', "note", "=", ""),
        ("note = it's", "note", "=", "it's"),
        (r'note = "a \"b\" c"', "note", "=", 'a "b" c'),
        ("done = true", "done", "=", True),
        ("done = True", "done", "=", "True"),
        ("x = null", "x", "=", "null"),
        ("x = NaN", "x", "=", "NaN"),
        ("x = 1e999", "x", "=", "1e999"),
        ("x = [1]", "x", "=", "[1]"),
        ("x = missing", "x", "=", "missing"),
        ("name contains a b", "name", "contains", "a b"),
        ("name starts_with A", "name", "starts_with", "A"),
        ('"check in" > 5', "check in", ">", 5),
        ("a>b = 1", "a>b", "=", 1),
        ("symbol in BTC,ETH", "symbol", "in", ["BTC", "ETH"]),
        ('symbol in BTC , "a,b", 3, true', "symbol", "in", ["BTC", "a,b", 3, True]),
        ("symbol in BTC", "symbol", "in", ["BTC"]),
    ],
)
def test_a_condition_compares_a_column_with_a_value(text: str, column: str, op: str, value: Any) -> None:
    parsed = condition(text)
    assert parsed == {"column": column, "op": op, "value": value}
    assert type(parsed["value"]) is type(value)


@pytest.mark.parametrize(
    ("text", "column", "op"),
    [
        ("note missing", "note", "missing"),
        ("last price present ", "last price", "present"),
        ('"a = b" missing', "a = b", "missing"),
    ],
)
def test_a_condition_tests_for_missing_values(text: str, column: str, op: str) -> None:
    assert condition(text) == {"column": column, "op": op}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("close>17000", "no operator between spaces"),
        ("close", "no operator between spaces"),
        ("close == 1", "no operator between spaces"),
        ("missing", "no operator between spaces"),
        ("", "no operator between spaces"),
        ("close >", "no value after >"),
        ("close =  ", "no value after ="),
        ('symbol in "a"b', "is not a list"),
    ],
)
def test_an_invalid_condition_is_reported(text: str, words: str) -> None:
    with pytest.raises(ArgumentTypeError, match=words):
        condition(text)


def test_a_minus_sorts_the_greatest_first() -> None:
    assert [sort_key(text) for text in ("close", "-volume", "'-x'", "-'-x'")] == [
        {"column": "close", "descending": False},
        {"column": "volume", "descending": True},
        {"column": "-x", "descending": False},
        {"column": "-x", "descending": True},
    ]
    with pytest.raises(ArgumentTypeError, match="name the column"):
        sort_key("-")


def test_columns_are_a_list_in_which_quotes_keep_commas() -> None:
    assert names("close, open") == ["close", "open"]
    assert names('"a,b",c') == ["a,b", "c"]


def test_a_tab_can_be_typed() -> None:
    assert [delimiter(text) for text in (r"\t", "tab", ";", "\t")] == ["\t", "\t", ";", "\t"]
