"""Move filters for a value to the right column of merged tables, if a hint has named it to the model already."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from analystd.agent.rewriting.edits import Edit, Rewriting, Source, called_name, constant


def filters_moved(moves: Mapping[tuple[str, str], str]) -> Rewriting:
    """Return a rewriting of `df['a'] == 'x'` to `df['b'] == 'x'`, for each column and value in `moves`, in programs that merge tables."""

    def find(source: Source) -> Iterator[Edit]:
        nodes = list(ast.walk(source.tree))
        if not any(isinstance(node, ast.Call) and called_name(node) in ("merge", "join") for node in nodes):
            return
        for node in nodes:
            if isinstance(node, ast.Compare) and len(node.comparators) == 1 and isinstance(node.left, ast.Subscript):
                filtered = (constant(node.left.slice), constant(node.comparators[0]))
                for before, column in moves.items():
                    if filtered == before:
                        yield Edit(node.left.slice, repr(column))

    return find
