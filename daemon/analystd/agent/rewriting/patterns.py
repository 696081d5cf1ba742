"""Add a group to patterns of `str.extract` that have none, which pandas only rejects: the whole match is wanted."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from analystd.agent.rewriting.edits import Edit, Source, called_name, constant, keyword

_LITERAL = re.compile(r"""(?P<open>[rRuU]?('''|\"""|'|"))(?P<body>.*)(?P<close>\2)""", re.DOTALL)


def find_patterns_without_groups(source: Source) -> Iterator[Edit]:
    r"""Find `text.str.extract(r'\d+')` and replace it by `text.str.extract(r'(\d+)', expand=False)`, which is a column again."""
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Call) or called_name(node) not in ("extract", "extractall"):
            continue
        given = node.args[0] if node.args else keyword(node, "pat")
        pattern = constant(given)
        if given is None or not isinstance(pattern, str) or _has_groups(pattern):
            continue
        written = _LITERAL.fullmatch(source.text(given))
        if written is None:
            continue
        literal = f"{written['open']}({written['body']}){written['close']}"
        # Adjacent literals may be of different kinds.
        if _value(literal) != f"({pattern})":
            continue
        is_column = called_name(node) == "extract" and keyword(node, "expand") is None and len(node.args) <= 1
        yield Edit(given, f"{literal}, expand=False" if is_column else literal)


def _has_groups(pattern: str) -> bool:
    try:
        return re.compile(pattern).groups > 0
    except (re.error, RecursionError, OverflowError):
        return True


def _value(literal: str) -> object:
    try:
        return ast.literal_eval(literal)
    except (SyntaxError, ValueError):
        return None
