"""Text methods on a column that holds numbers, as where a question speaks of amounts with signs that were read as numbers already."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

from analystd.agent.rewriting.edits import Edit, Rewriting, Source, constant


def text_methods_on(numbers: Collection[str]) -> Rewriting:
    """Return what finds `df['amount'].str` for columns of numbers, and puts `df['amount'].astype(str).str`, which can be cleaned again."""

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
