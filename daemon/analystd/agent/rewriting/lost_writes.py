"""Redirect writes into a copy of a part of a table, which are lost since pandas 3.0, to the table itself.

`df['a'].fillna(0, inplace=True)` and `df['a'][mask] = 0` change nothing today, without an error.
Source: the migration guide "Copy-on-Write" of pandas' documentation.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from analystd.agent.rewriting.edits import Edit, Source, constant, keyword, with_arguments

_IN_PLACE = frozenset({"bfill", "clip", "ffill", "fillna", "interpolate", "mask", "replace", "where"})
"""Methods of a column that keep its length, so that their result can replace it."""
_MASKS = frozenset({"between", "contains", "duplicated", "endswith", "isin", "isna", "isnull", "notna", "notnull"})


def find_lost_writes(source: Source) -> Iterator[Edit]:
    """Find the writes that would be lost."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            yield from _in_place(source, node, node.value)
        elif isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Subscript):
            yield from _chained(source, node.targets[0])


def _in_place(source: Source, statement: ast.Expr, call: ast.Call) -> Iterator[Edit]:
    function = call.func
    if (
        isinstance(function, ast.Attribute)
        and function.attr in _IN_PLACE
        and isinstance(function.value, ast.Subscript)
        and constant(keyword(call, "inplace")) is True
    ):
        column = source.text(function.value)
        yield Edit(statement, f"{column} = {with_arguments(source, call, source.text(function), ('inplace',))}")


def _chained(source: Source, target: ast.Subscript) -> Iterator[Edit]:
    """Replace `df['a'][mask]` and `df[mask]['a']` by `df.loc[mask, 'a']`."""
    inner = target.value
    if not isinstance(inner, ast.Subscript) or not isinstance(inner.value, ast.Name):
        return
    for column, mask in ((inner.slice, target.slice), (target.slice, inner.slice)):
        if isinstance(constant(column), str) and _is_mask(mask):
            yield Edit(target, f"{inner.value.id}.loc[{source.text(mask)}, {source.text(column)}]")


def _is_mask(node: ast.expr) -> bool:
    """Return whether an expression selects rows by a truth value for each."""
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, (ast.BitAnd, ast.BitOr)) and _is_mask(node.left)
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.Invert)
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Attribute) and node.func.attr in _MASKS
    return isinstance(node, ast.Compare)
