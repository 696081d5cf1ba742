"""Parts of dates (`df['day'].dt.year`) of a column that pandas reads as text, and plots over such a column."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

from analystd.agent.rewriting.edits import Edit, Rewriting, Source, called_name, constant, keyword

_PLOTS = frozenset({"plot", "scatter", "step", "fill_between", "errorbar", "stem"})
"""Methods of matplotlib whose first argument is the horizontal axis. Over text it has a label for each row, which takes minutes to draw."""


def uses_of_dates_in(dates: Collection[str]) -> Rewriting:
    """Return what finds `df['day'].dt` and `plt.plot(df['day'], …)` for columns of dates as text, and puts `pd.to_datetime(df['day'])` there.

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
                (used := _used_as_dates(node)) is not None
                and (name := constant(used.slice)) in dates
                and name not in made
            ):
                yield Edit(used, f"pd.to_datetime({source.text(used)})")

    return find


def _used_as_dates(node: ast.AST) -> ast.Subscript | None:
    """The column that a node uses as dates, if it is such a use."""
    used: ast.expr | None = None
    if isinstance(node, ast.Attribute) and node.attr == "dt":
        used = node.value
    elif isinstance(node, ast.Call) and called_name(node) in _PLOTS and len(node.args) > 1:
        used = node.args[0]
    return used if isinstance(used, ast.Subscript) else None
