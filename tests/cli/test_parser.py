"""The words of the command line, where argparse needs help."""

from __future__ import annotations

import pytest

from analystd.cli.parser import parse_arguments


def test_a_view_takes_filters_sort_keys_columns_and_a_delimiter() -> None:
    words = ["view", "a.csv", "rows", "--filter", "a > 1", "--sort", "-b", "--sort", "a", "--columns", "a,b"]
    options = parse_arguments([*words, "--columns", "c", "--delimiter", r"\t", "-n", "3"])
    assert options.filter == [{"column": "a", "op": ">", "value": 1}]
    assert options.sort == [{"column": "b", "descending": True}, {"column": "a", "descending": False}]
    assert (options.columns, options.delimiter, options.n) == (["a", "b", "c"], "\t", 3)


def test_omitted_options_have_their_defaults() -> None:
    options = parse_arguments(["view", "a.csv"])
    assert options.operation == "head"
    assert {options.filter, options.sort, options.columns, options.delimiter, options.n, options.offset} == {None}


def test_the_operation_of_a_view_may_stand_anywhere_after_the_path() -> None:
    for words in (["shape", "-n", "3"], ["-n", "3", "shape"], ["--sort", "-a", "shape", "--json"]):
        assert parse_arguments(["view", "a.csv", *words]).operation == "shape"


def test_code_that_looks_like_an_option_of_a_view_is_left_alone() -> None:
    assert parse_arguments(["exec", "--session", "s", "--", "--sort"]).code == "--sort"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--filter", "close"], "argument --filter: 'close' has no operator between spaces; write COLUMN OP VALUE"),
        (["--sort", "-"], "argument --sort: name the column to sort by"),
        (["--sort"], "argument --sort: expected one argument"),
        (["head", "-n", "3", "tail"], "unrecognized arguments: tail"),
        (["-n", "3", "frobnicate"], "unrecognized arguments: frobnicate"),
        (["frobnicate"], "argument OPERATION: invalid choice: 'frobnicate'"),
    ],
)
def test_a_usage_error_names_the_word(capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    with pytest.raises(SystemExit) as caught:
        parse_arguments(["view", "a.csv", *words])
    assert caught.value.code == 2
    assert said in capsys.readouterr().err
