"""Replace comparisons with a word for missing values (`df['sex'] != 'missing'`) if the column has no such text: missing values are NaN."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

from analystd.agent.rewriting.edits import Edit, Rewriting, Source, constant

WORDS = frozenset({"missing", "nan", "NaN", "None", "null", "NULL", "NA", "N/A", ""})
"""Words that programs write for a missing value."""


def missing_words_in(columns: Collection[str]) -> Rewriting:
    """Return a rewriting of `df['a'] != 'missing'` to `df['a'].notna()`, and `isna()` for `==`, for columns without any of the words."""

    def find(source: Source) -> Iterator[Edit]:
        for node in ast.walk(source.tree):
            if (
                isinstance(node, ast.Compare)
                and len(node.ops) == 1
                and isinstance(node.ops[0], (ast.Eq, ast.NotEq))
                and isinstance(node.left, ast.Subscript)
                and constant(node.left.slice) in columns
                and constant(node.comparators[0]) in WORDS
            ):
                method = "isna" if isinstance(node.ops[0], ast.Eq) else "notna"
                yield Edit(node, f"{source.text(node.left)}.{method}()")

    return find
