"""Add parentheses to comparisons joined by `&` and `|`, which bind more tightly: `a > 1 & b < 2` becomes `(a > 1) & (b < 2)`.

For columns, Python's reading always fails, as the truth value of a column or as an operation of a number with a column.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from analystd.agent.rewriting.edits import Edit, Source

_SIGNS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}


def find_missing_parentheses(source: Source) -> Iterator[Edit]:
    """Find comparisons of columns that are joined without parentheses."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Compare) and all(type(sign) in _SIGNS for sign in node.ops):
            joined = [each for each in node.comparators if _joint(each) and not source.in_parentheses(each)]
            if joined and any(map(_is_column, (node.left, *(part for each in joined for part in ast.walk(each))))):
                yield Edit(node, _with_parentheses(source, node))


def _with_parentheses(source: Source, node: ast.Compare) -> str:
    """Split `a > 1 & b < 2`, in which `1 & b` is the middle, at each `&` and `|` in a middle."""
    text, left = "", source.text(node.left)
    for sign, right in zip(node.ops, node.comparators, strict=True):
        joint = None if source.in_parentheses(right) else _joint(right)
        if joint is None or not isinstance(right, ast.BinOp):
            left = f"({left} {_SIGNS[type(sign)]} {_whole(source, right)})"
        else:
            text += f"({left} {_SIGNS[type(sign)]} {_whole(source, right.left)}) {joint} "
            left = _whole(source, right.right)
    return f"{text}{left}"


def _whole(source: Source, node: ast.expr) -> str:
    text = source.text(node)
    return f"({text})" if source.in_parentheses(node) else text


def _joint(node: ast.expr) -> str | None:
    if not isinstance(node, ast.BinOp):
        return None
    return "&" if isinstance(node.op, ast.BitAnd) else "|" if isinstance(node.op, ast.BitOr) else None


def _is_column(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str)
    )
