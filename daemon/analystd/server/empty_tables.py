"""Accept `[]` in place of `{}` from clients whose language, like Lua, has one empty table for both objects and lists."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from analystd.tools.base import require_fit
from analystd.wire.errors import InvalidArgumentsError

_MOST_TABLES = 100


def fitting(validator: Draft202012Validator, params: Any) -> Any:
    """Validate parameters against a schema, and return them with `{}` for each `[]` where only an object is valid.

    Nested values are replaced in place.

    Raises:
        InvalidArgumentsError: when the parameters are invalid even so.
    """
    try:
        require_fit(validator, params)
    except InvalidArgumentsError:
        params = _with_tables(params, list(islice(_leaves(validator.iter_errors(params)), _MOST_TABLES)))
        require_fit(validator, params)
    return params


def _with_tables(params: Any, misfits: list[ValidationError]) -> Any:
    for misfit in misfits:
        kinds: Any = misfit.validator_value
        if misfit.instance != [] or "object" not in ([kinds] if isinstance(kinds, str) else kinds):
            continue
        if not misfit.absolute_path:
            return {}
        *way, name = misfit.absolute_path
        holder = params
        for step in way:
            holder = holder[step]
        holder[name] = {}
    return params


def _leaves(errors: Iterable[ValidationError]) -> Iterator[ValidationError]:
    """Yield the errors about types, including those from schemas with alternatives of which none is valid."""
    for error in errors:
        if error.validator == "type":
            yield error
        yield from _leaves(error.context or ())
