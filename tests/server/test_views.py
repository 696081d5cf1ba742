"""Test which views of a table can be requested over the wire, and the progress that is reported during reading."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest

from analystd.data.view_request import ViewRequest
from analystd.server.connection import ClientConnection
from analystd.server.handlers.registry import typed_arguments
from analystd.server.handlers.views import reading, require_answerable
from analystd.wire.arguments import Condition, SortKey
from analystd.wire.commands import VIEW_DATA
from analystd.wire.errors import InvalidArgumentsError

ASKED = {"path": "bars.csv", "operation": "rows"}


def checked_question(arguments: dict[str, Any]) -> ViewRequest:
    asked = typed_arguments(VIEW_DATA, arguments)
    require_answerable(asked)
    return ViewRequest.of(asked)


def test_a_question_carries_filter_sort_and_delimiter() -> None:
    question = checked_question(
        {
            **ASKED,
            "columns": ["close"],
            "filter": [
                {"column": "close", "op": ">", "value": 1.5},
                {"column": "symbol", "op": "in", "value": ["BTC", None, 3, True]},
                {"column": "note", "op": "missing"},
                {"column": "note", "op": "present", "value": None},
            ],
            "sort": [{"column": "close", "descending": True}, {"column": "note"}],
            "delimiter": "\t",
        }
    )
    assert question == ViewRequest(
        "rows",
        columns=("close",),
        filter=(
            Condition("close", ">", 1.5),
            Condition("symbol", "in", ["BTC", None, 3, True]),
            Condition("note", "missing"),
            Condition("note", "present"),
        ),
        sort=(SortKey("close", True), SortKey("note")),
        delimiter="\t",
    )


def test_a_profile_can_be_asked_for() -> None:
    assert checked_question({**ASKED, "operation": "profile"}).operation == "profile"


@pytest.mark.parametrize(
    ("misfit", "words", "where"),
    [
        ({"filter": {}}, "{} is not of type 'array'", "filter"),
        ({"filter": [{"column": "a", "op": "like", "value": 1}]}, "'like' is not one of ['=', '!='", "filter[0].op"),
        ({"filter": [{"column": "a", "op": "="}]}, "'value' is a required property", "filter[0]"),
        ({"filter": [{"column": "a", "op": "=", "value": [1]}]}, "[1] is not of type 'number'", "filter[0].value"),
        ({"filter": [{"column": "a", "op": "in", "value": 1}]}, "1 is not of type 'array'", "filter[0].value"),
        ({"filter": [{"column": "a", "op": "in", "value": [{}]}]}, "{} is not of type", "filter[0].value[0]"),
        ({"filter": [{"column": "a", "op": "in", "value": [1] * 1001}]}, "is too long", "filter[0].value"),
        ({"filter": [{"column": "a", "op": "missing", "value": 1}]}, "1 is not of type 'null'", "filter[0].value"),
        ({"filter": [{"op": "missing"}]}, "'column' is a required property", "filter[0]"),
        ({"filter": [{"column": "a", "op": "missing"}] * 33}, "is too long", "filter"),
        ({"sort": [{"column": "a", "order": "up"}]}, "'order' was unexpected", "sort[0]"),
        ({"sort": [{"column": "a"}] * 9}, "is too long", "sort"),
        ({"operation": "drop"}, "'drop' is not one of", "operation"),
        ({"n_rows": 0}, "0 is less than the minimum of 1", "n_rows"),
    ],
)
def test_a_misfit_is_told_with_its_place(misfit: dict[str, Any], words: str, where: str) -> None:
    with pytest.raises(InvalidArgumentsError) as caught:
        checked_question({**ASKED, **misfit})
    assert caught.value.message.startswith("Invalid arguments: ")
    assert words in caught.value.message
    assert caught.value.hint == f"Look at '{where}'."


@pytest.mark.parametrize("delimiter", ["", "ab", "a", "7", '"', "'", "\n", "\r", "\0", "é", "§"])
def test_what_cannot_delimit_is_refused(delimiter: str) -> None:
    with pytest.raises(InvalidArgumentsError, match="the delimiter is") as caught:
        checked_question({**ASKED, "delimiter": delimiter})
    assert caught.value.hint == "It can be one ASCII character that is no letter, digit, quote or line end."


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", " ", ":", "~", "\x01", "\x1f"])
def test_signs_can_delimit(delimiter: str) -> None:
    assert checked_question({**ASKED, "delimiter": delimiter}).delimiter == delimiter


@pytest.mark.parametrize("places", [{}, {"path": "a.csv", "uri": "file:///a.csv"}])
def test_a_path_or_a_uri_is_wanted_and_not_both(places: dict[str, str]) -> None:
    with pytest.raises(InvalidArgumentsError, match="give either 'path' or 'uri'"):
        checked_question({"operation": "head", **places})


class Window:
    """The part of a connection that sends progress."""

    def __init__(self) -> None:
        self.sent: list[tuple[object, dict[str, Any]]] = []

    def progress(self, token: object, value: Mapping[str, Any]) -> None:
        self.sent.append((token, dict(value)))

    @property
    def connection(self) -> ClientConnection:
        return cast(ClientConnection, self)


def test_progress_begins_with_the_first_report_rises_and_ends_once() -> None:
    window = Window()
    with reading(window.connection, "t", "bars.csv") as report:
        assert report is not None
        assert window.sent == []
        for done in (0.104, 0.109, 0.05, 0.5, 7):
            report(done)
    report(0.9)
    assert window.sent == [
        ("t", {"kind": "begin", "title": "Reading bars.csv", "cancellable": True, "percentage": 0}),
        ("t", {"kind": "report", "percentage": 10}),
        ("t", {"kind": "report", "percentage": 50}),
        ("t", {"kind": "report", "percentage": 100}),
        ("t", {"kind": "end"}),
    ]


def test_of_quick_work_and_to_those_without_a_token_nothing_is_told() -> None:
    window = Window()
    with reading(window.connection, "t", "bars.csv"):
        pass
    with reading(window.connection, None, "bars.csv") as report:
        assert report is None
    assert window.sent == []


def test_progress_ends_when_the_work_fails() -> None:
    window = Window()
    with pytest.raises(ValueError), reading(window.connection, "t", "bars.csv") as report:
        assert report is not None
        report(0)
        raise ValueError
    assert [value["kind"] for _, value in window.sent] == ["begin", "end"]
