"""Test that an empty table of Lua becomes an empty object where the schema requires one."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from analystd.server.empty_tables import fitting
from analystd.wire.errors import InvalidArgumentsError

RANGE = {"type": "object", "properties": {"start": {"type": "object"}}}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "context": {"anyOf": [RANGE, {"type": "null"}]},
        "filter": {"type": "array"},
        "both": {"type": ["array", "object"]},
        "name": {"type": "string"},
        "deep": {"type": "array", "items": {"type": "array", "items": RANGE}},
    },
}


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ([], {}),
        ({"context": []}, {"context": {}}),
        ({"context": {"start": []}}, {"context": {"start": {}}}),
        ({"both": []}, {"both": []}),
        ({"both": {}}, {"both": {}}),
        ({"deep": [[[], {"start": []}]]}, {"deep": [[{}, {"start": {}}]]}),
        ({"context": [], "filter": []}, {"context": {}, "filter": []}),
    ],
)
def test_an_empty_table_is_what_is_wanted_in_its_place(given: Any, meant: Any) -> None:
    assert fitting(Draft202012Validator(SCHEMA), given) == meant


@pytest.mark.parametrize("given", [{"name": []}, {"context": [1]}, {"filter": {}}, "", 0, [0], [[]]])
def test_what_is_not_empty_or_not_wanted_is_refused_as_ever(given: Any) -> None:
    with pytest.raises(InvalidArgumentsError):
        fitting(Draft202012Validator(SCHEMA), given)
