from __future__ import annotations

from typing import Any

import pytest

from analystd.tools.base import validate
from analystd.tools.data_view import DATA_VIEW
from analystd.tools.files import LIST_FILES, READ_FILE, WRITE_FILE
from analystd.tools.pyexe import PYEXE
from analystd.wire.errors import InvalidArgumentsError


@pytest.mark.parametrize(
    ("schema", "arguments", "message"),
    [
        (READ_FILE, {"path": 123}, "Invalid arguments: 123 is not of type 'string'"),
        (READ_FILE, {}, "Invalid arguments: 'path' is a required property"),
        (READ_FILE, {"path": "x", "offset": 0}, "Invalid arguments: 0 is less than the minimum of 1"),
        (WRITE_FILE, {"path": "x"}, "Invalid arguments: 'content' is a required property"),
        (PYEXE, {"code": "x", "reset": "yes"}, "Invalid arguments: 'yes' is not of type 'boolean'"),
        (
            LIST_FILES,
            {"folder": "x"},
            "Invalid arguments: Additional properties are not allowed ('folder' was unexpected)",
        ),
        (DATA_VIEW, {"path": "x", "operation": "drop"}, "Invalid arguments: 'drop' is not one of ["),
        (DATA_VIEW, "x", "Invalid arguments: 'x' is not of type 'object'"),
    ],
)
def test_invalid_arguments_are_reported_in_the_validators_words(schema: Any, arguments: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentsError) as caught:
        validate(schema.parameters, arguments)
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize(
    ("schema", "arguments"),
    [
        (LIST_FILES, {}),
        (LIST_FILES, {"path": ".", "pattern": "*.csv", "recursive": True}),
        (READ_FILE, {"path": "data/x.csv"}),
        (WRITE_FILE, {"path": "x", "content": ""}),
        (DATA_VIEW, {"path": "x", "operation": "head", "n_rows": 5}),
        (PYEXE, {"code": "print('New task')", "reset": True}),
    ],
)
def test_valid_arguments_pass(schema: Any, arguments: dict[str, Any]) -> None:
    validate(schema.parameters, arguments)


def test_a_huge_argument_does_not_make_a_huge_message() -> None:
    with pytest.raises(InvalidArgumentsError) as caught:
        validate(READ_FILE.parameters, {"path": ["x" * 1_000_000]})
    assert len(caught.value.message) < 1000
