"""Replace `pd.read_csv('ledger.csv')` of a file that is not plain CSV, by its content or its name, by `toolbox.read('ledger.csv')`."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

from analystd.agent.rewriting.edits import Edit, Rewriting, Source, constant

_NO_TEXT = (".parquet", ".pq", ".feather", ".arrow", ".xlsx", ".xlsm", ".jsonl", ".ndjson")


def plain_reads_of(paths: Collection[str]) -> Rewriting:
    """Return a rewriting of calls that read one of these files as plain CSV, that is, without any option."""

    def find(source: Source) -> Iterator[Edit]:
        for node in ast.walk(source.tree):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "read_csv"
                and len(node.args) == 1
                and not node.keywords
                and _is_odd(constant(node.args[0]), paths)
            ):
                yield Edit(node.func, "toolbox.read")

    return find


def _is_odd(path: object, paths: Collection[str]) -> bool:
    return isinstance(path, str) and (path in paths or path.lower().endswith(_NO_TEXT))
