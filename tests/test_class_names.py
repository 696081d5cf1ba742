"""Each class has a name of its own in the package, so that a name says which one is meant."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import analystd
from analystd.wire.export.declarations import sent_shapes
from analystd.wire.export.records import NAMES

PACKAGE = Path(analystd.__file__).parent
RECORDS = {cls.__name__ for cls in sent_shapes()} - set(NAMES)
"""The client's records are generated from the shapes of the wire, and have their names."""


def test_class_names_are_unique() -> None:
    places: defaultdict[str, list[str]] = defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(path.relative_to(PACKAGE).as_posix())
    shared = {name: found for name, found in places.items() if len(found) > 1}
    assert {name: found for name, found in shared.items() if name not in RECORDS} == {}
    for name in RECORDS:
        rooms = [found.partition("/")[0] for found in shared.get(name, ())]
        assert sorted(rooms) == ["client", "wire"], (name, shared.get(name))
