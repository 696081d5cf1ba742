"""Convert dates that pandas reads as text where programs use their parts (`df['day'].dt.year`), plot them, or compare them with a year or month."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Set

from analystd.agent.rewriting.edits import Edit, Rewriting, Source, called_name, constant, keyword

_PLOTS = frozenset({"plot", "scatter", "step", "fill_between", "errorbar", "stem"})
"""Methods of matplotlib whose first argument is the horizontal axis. Over text it gets a label for each row, which takes minutes to draw."""


_YEAR_OR_MONTH = re.compile(r"[12]\d{3}(?:[-/](?:0?[1-9]|1[0-2]))?")


def uses_of_dates_in(dates: Set[str]) -> Rewriting:
    """Return a rewriting of `df['day'].dt` and `plt.plot(df['day'], …)`, for columns of dates as text, that inserts `pd.to_datetime(df['day'])`.

    A program that converts a column to dates itself, while reading the file or later, is left unchanged.
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
            elif (filtered := _compared(node)) is not None and constant(filtered[0].slice) in dates - made:
                column, part = filtered
                year, _, month = part.replace("/", "-").partition("-")
                days = f"pd.to_datetime({source.text(column)}).dt"
                text = f"({days}.year == {int(year)})"
                assert isinstance(node, ast.Compare)
                yield Edit(node, f"({text} & ({days}.month == {int(month)}))" if month else text)

    return find


def _compared(node: ast.AST) -> tuple[ast.Subscript, str] | None:
    """Return a column that is compared with a year or month, which no date equals, and that year or month."""
    if not (isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], ast.Eq)):
        return None
    part = str(constant(node.comparators[0]))
    if isinstance(node.left, ast.Subscript) and _YEAR_OR_MONTH.fullmatch(part):
        return node.left, part
    return None


def _used_as_dates(node: ast.AST) -> ast.Subscript | None:
    """Return the column that a node uses as dates, if it does."""
    used: ast.expr | None = None
    if isinstance(node, ast.Attribute) and node.attr == "dt":
        used = node.value
    elif isinstance(node, ast.Call) and called_name(node) in _PLOTS and len(node.args) > 1:
        used = node.args[0]
    return used if isinstance(used, ast.Subscript) else None
