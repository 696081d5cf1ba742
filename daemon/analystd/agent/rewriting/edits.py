"""Replace parts of a Python source by its syntax tree, and leave everything else as it is written."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

_MOST_ROUNDS = 10
"""Maximum number of rounds; an edit within another is made in the next round."""


@dataclass(frozen=True)
class Edit:
    """The replacement text of a node."""

    node: ast.expr | ast.stmt | ast.keyword
    text: str


class Source:
    """A parsed source, with the text of each node."""

    def __init__(self, code: str) -> None:
        self.tree = ast.parse(code)
        self._bytes = code.encode()
        self._lines = [0]
        for line in self._bytes.splitlines(keepends=True):
            self._lines.append(self._lines[-1] + len(line))

    def text(self, node: ast.expr | ast.stmt | ast.keyword) -> str:
        """Return the text of a node as it is written."""
        start, end = self._span(node)
        return self._bytes[start:end].decode()

    def in_parentheses(self, node: ast.expr) -> bool:
        """Return whether an expression stands in parentheses of its own, or fills those of a call."""
        start, end = self._span(node)
        return self._bytes[:start].rstrip().endswith(b"(") and self._bytes[end:].lstrip().startswith(b")")

    def with_edits(self, edits: Iterable[Edit]) -> str:
        """Return the source with the edits made, except those that lie within another."""
        result, done = self._bytes, len(self._bytes)
        spans = sorted(((*self._span(edit.node), edit.text) for edit in edits), key=lambda each: (each[0], -each[1]))
        outer: list[tuple[int, int, str]] = []
        for start, end, text in spans:
            if not outer or start >= outer[-1][1]:
                outer.append((start, end, text))
        for start, end, text in reversed(outer):
            assert end <= done
            result, done = result[:start] + text.encode() + result[end:], start
        return result.decode()

    def _span(self, node: ast.expr | ast.stmt | ast.keyword) -> tuple[int, int]:
        assert node.end_lineno is not None and node.end_col_offset is not None
        return (
            self._lines[node.lineno - 1] + node.col_offset,
            self._lines[node.end_lineno - 1] + node.end_col_offset,
        )


Rewriting = Callable[[Source], Iterator[Edit]]


def rewritten(code: str, rewritings: Sequence[Rewriting]) -> str:
    """Return a program with all edits that the rewritings find; a program that cannot be parsed is returned unchanged."""
    for _ in range(_MOST_ROUNDS):
        try:
            source = Source(code)
            new = source.with_edits(edit for rewriting in rewritings for edit in rewriting(source))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return code
        if new == code:
            return code
        code = new
    return code


def called_name(call: ast.Call) -> str:
    """Return the last part of the called name: `resample` for `df.resample(…)`; empty if there is none."""
    function = call.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    """Return the value of a keyword argument; None if it is missing."""
    return next((each.value for each in call.keywords if each.arg == name), None)


def constant(node: ast.expr | None) -> object:
    """Return the value of a constant; None for any other expression."""
    return node.value if isinstance(node, ast.Constant) else None


def with_arguments(source: Source, call: ast.Call, function: str, without: Sequence[str], added: str = "") -> str:
    """Return a call of another function with the same arguments, without some keywords, and with one more."""
    arguments = [source.text(each) for each in call.args]
    arguments += [source.text(each) for each in call.keywords if each.arg not in without]
    return f"{function}({', '.join([*arguments, added] if added else arguments)})"
