"""Convert numeric columns to text before text methods, for example if a question mentions amounts with signs that are read as numbers."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

from analystd.agent.rewriting.edits import Edit, Rewriting, Source, constant


def text_methods_on(numbers: Collection[str]) -> Rewriting:
    """Return a rewriting of `df['amount'].str`, for numeric columns, to `df['amount'].astype(str).str`, which can be cleaned again."""

    def find(source: Source) -> Iterator[Edit]:
        for node in ast.walk(source.tree):
            if (
                isinstance(node, ast.Attribute)
                and node.attr == "str"
                and isinstance(node.value, ast.Subscript)
                and constant(node.value.slice) in numbers
            ):
                yield Edit(node.value, f"{source.text(node.value)}.astype(str)")

    return find
