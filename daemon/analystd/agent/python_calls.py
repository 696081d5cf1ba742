"""Read tool calls that a model writes as Python, without evaluating them: only keyword arguments that are literals.

Gemma writes `print(default_api.f(x=1))` in a fence `tool_code`, Llama 3.2 and 4 write `[f(x=1), g(y=2)]`.
"""

from __future__ import annotations

import ast
import json
import warnings
from collections.abc import Container
from typing import Any

from analystd.agent.calls import checked

_UNREADABLE = (SyntaxError, ValueError, TypeError, RecursionError, MemoryError)


def python_calls(code: str, names: Container[str]) -> list[tuple[str, dict[str, Any]]]:
    """Return the calls that make up some code, as names and arguments; none if it holds anything else, or calls another name.

    Raises:
        UnreadableError: for arguments that JSON cannot represent.
    """
    calls = [_call(node, names) for node in _expressions(code)]
    found = [call for call in calls if call is not None]
    if len(found) < len(calls):
        return []
    # Tuples become lists, and numeric keys become text, as in any other call.
    return [(name, json.loads(json.dumps(checked(arguments)))) for name, arguments in found]


def _expressions(code: str) -> list[ast.expr]:
    """Return the expressions that stand alone on a line, in a list or in a `print`; none if there are other statements."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            statements = ast.parse(code.strip()).body
    except _UNREADABLE:
        return []
    expressions: list[ast.expr] = []
    for each in statements:
        if not isinstance(each, ast.Expr):
            return []
        expressions += each.value.elts if isinstance(each.value, ast.List) else [_printed(each.value)]
    return expressions


def _printed(node: ast.expr) -> ast.expr:
    """Return the argument of a call of `print`, or else the expression itself."""
    match node:
        case ast.Call(func=ast.Name(id="print"), args=[inner], keywords=[]):
            return inner
    return node


def _call(node: ast.expr, names: Container[str]) -> tuple[str, dict[str, Any]] | None:
    match node:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=[], keywords=keywords) if (
            name in names and all(each.arg is not None for each in keywords)
        ):
            try:
                return name, {each.arg: ast.literal_eval(each.value) for each in keywords if each.arg is not None}
            except _UNREADABLE:
                return None
    return None
