"""Parts of dates (`df['day'].dt.year`) of a column that pandas reads as text."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

from analystd.agent.rewriting.edits import Edit, Rewriting, Source, constant, keyword


def parts_of_dates_in(dates: Collection[str]) -> Rewriting:
    """Return what finds `df['day'].dt` for columns of dates as text, and puts `pd.to_datetime(df['day']).dt`.

    A program that makes dates of a column itself, when it reads the file or later, is left as it is.
    """

    def find(source: Source) -> Iterator[Edit]:
        nodes = list(ast.walk(source.tree))
        if any(isinstance(node, ast.Call) and keyword(node, "parse_dates") is not None for node in nodes):
            return
        made = {
            constant(node.slice)
            for node in nodes
            if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store)
        }
        for node in nodes:
            if (
                isinstance(node, ast.Attribute)
                and node.attr == "dt"
                and isinstance(node.value, ast.Subscript)
                and (name := constant(node.value.slice)) in dates
                and name not in made
            ):
                yield Edit(node.value, f"pd.to_datetime({source.text(node.value)})")

    return find
