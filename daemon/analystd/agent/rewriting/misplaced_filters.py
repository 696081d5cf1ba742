"""Filters for a value in the wrong column of tables that were merged: the model was told once which column has the value."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from analystd.agent.rewriting.edits import Edit, Rewriting, Source, called_name, constant


def filters_moved(moves: Mapping[tuple[str, str], str]) -> Rewriting:
    """Return what finds `df['a'] == 'x'` and puts `df['b'] == 'x'`, for each column and value that is in `moves`, in programs that merge tables."""

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
