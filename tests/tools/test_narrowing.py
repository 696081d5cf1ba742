from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analystd.tools.base import validate
from analystd.tools.data_view import DATA_VIEW
from analystd.tools.files import LIST_FILES, READ_FILE, WRITE_FILE
from analystd.tools.narrowing import MOST_CHARACTERS, MOST_NAMES, Names, narrowed
from analystd.tools.pyexe import PYEXE
from analystd.wire.errors import InvalidArgumentsError

NAMES = Names(("prices.csv", "notes.txt"), ("year",), ("close", "open"))


def test_parameters_for_reading_are_restricted_to_existing_names() -> None:
    assert narrowed(DATA_VIEW, NAMES).parameters["properties"]["path"]["enum"] == ["prices.csv", "notes.txt", "year"]
    assert narrowed(READ_FILE, NAMES).parameters["properties"]["path"]["enum"] == ["prices.csv", "notes.txt"]
    columns = narrowed(DATA_VIEW, NAMES).parameters["properties"]["columns"]
    assert columns["items"] == {"type": "string", "enum": ["close", "open"]}


@pytest.mark.parametrize("tool", [WRITE_FILE, PYEXE, LIST_FILES], ids=lambda tool: tool.name)
def test_parameters_for_writing_are_not_restricted(tool: object) -> None:
    assert narrowed(tool, NAMES) == tool  # type: ignore[arg-type]


def test_a_tools_own_schema_stays_unchanged() -> None:
    before = json.dumps(DATA_VIEW.parameters)
    narrowed(DATA_VIEW, NAMES)
    assert json.dumps(DATA_VIEW.parameters) == before


@pytest.mark.parametrize(
    "files",
    [
        None,
        (),
        tuple(map(str, range(MOST_NAMES + 1))),
        ("x" * (MOST_CHARACTERS + 1),),
        ("fine.csv", "half \ud800.csv"),
    ],
    ids=["unknown", "none", "too many", "too long", "no text"],
)
def test_incompletely_known_names_restrict_nothing(files: tuple[str, ...] | None) -> None:
    names = Names(files, (), files)
    assert narrowed(DATA_VIEW, names) == DATA_VIEW
    assert narrowed(READ_FILE, names) == READ_FILE


@given(names=st.lists(st.text(min_size=1, max_size=10), min_size=1, max_size=5), asked=st.text(max_size=10))
def test_the_narrowed_schema_takes_the_names_and_nothing_else(names: list[str], asked: str) -> None:
    schema = narrowed(READ_FILE, Names(tuple(names))).parameters
    for name in names:
        validate(schema, {"path": name})
        validate(READ_FILE.parameters, {"path": name})
    if asked not in names:
        with pytest.raises(InvalidArgumentsError, match="is not one of"):
            validate(schema, {"path": asked})
