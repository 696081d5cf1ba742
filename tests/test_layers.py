"""The arrows between the parts go one way, and heavy libraries stay where they belong."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Container, Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import analystd

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "daemon" / "analystd"

MAY_IMPORT: dict[str, set[str]] = {
    "util": set(),
    "config": {"util"},
    "wire": {"util"},
    "workers": {"wire", "util"},
    "jail": {"config", "wire", "util"},
    "discovery": {"workers", "config", "wire", "util"},
    "relay": {"discovery", "wire", "util"},
    "client": {"discovery", "jail", "wire", "util"},
    "models": {"jail", "config", "wire", "util"},
    "engine": {"models", "jail", "workers", "config", "wire", "util"},
    "kernel": {"jail", "config", "wire", "util"},
    "data": {"jail", "workers", "wire", "util"},
    "toolbox": set(),
    "tools": {"engine", "kernel", "data", "wire", "util"},
    "agent": {"tools", "engine", "kernel", "wire", "util"},
    "desk": {"agent", "tools", "engine", "kernel", "data", "jail", "config", "wire", "util"},
    "server": {"desk", "tools", "engine", "kernel", "data", "discovery", "jail", "config", "wire", "util"},
    "cli": {
        "client",
        "server",
        "relay",
        "desk",
        "agent",
        "engine",
        "models",
        "data",
        "discovery",
        "jail",
        "workers",
        "config",
        "wire",
        "util",
    },
    # The package itself; the client only when it is first asked for.
    "": {"client", "wire"},
    "__main__": {"cli"},
}

HEAVY = {
    "pygls": ["server/pygls_adapter.py", "server/lsp_params.py"],
    "lsprotocol": [
        "server/pygls_adapter.py",
        "server/connection.py",
        "server/inbound.py",
        "server/lsp_params.py",
        "server/uris.py",
        "server/handlers/*.py",
    ],
    "llama_cpp": [],
    "xllamacpp": [],
    "prompt_toolkit": ["cli/chat/line_input.py", "cli/chat/markdown.py"],
    "pyarrow": [
        "data/arrow_values.py",
        "data/column_chunks.py",
        "data/column_numbers.py",
        "data/compute/*.py",
        "data/text/csv_columns.py",
        "data/text/json_columns.py",
        "data/typed/*.py",
    ],
}

DATA_PARTS = ["compute", "files", "text", "typed"]

LOADED = "import sys, {}; print([name for name in {} if name in sys.modules])"


def modules() -> Iterator[Path]:
    yield from sorted(PACKAGE.rglob("*.py"))


@cache
def imports_of(path: Path) -> set[str]:
    """The modules that a module imports anywhere, and the names in them."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = absolute(path, node)
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return found


def modules_imported(path: Path, among: Container[str]) -> set[str]:
    """Those of `among` that a module imports when it runs, at its beginning or later."""
    found: set[str] = set()
    tree = ast.parse(path.read_text("utf-8"))
    for_types = {each for block in blocks_for_types(tree) for each in ast.walk(block)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node not in for_types:
            module = absolute(path, node)
            names = [f"{module}.{alias.name}" for alias in node.names]
            found |= {name if name in among else module for name in names}
    return {name for name in found if name in among} - {name_of(path)}


def blocks_for_types(tree: ast.Module) -> Iterator[ast.stmt]:
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            yield from node.body


def absolute(path: Path, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = ["analystd", *path.relative_to(PACKAGE).parts[: -node.level]]
    return ".".join([*package, *([node.module] if node.module else [])])


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(["analystd", *(parts[:-1] if parts[-1] == "__init__" else parts)])


def part_of(path: Path) -> str:
    """The folder of a module; of one in no folder its own name, and of the package itself none."""
    return name_of(path).removeprefix("analystd").removeprefix(".").split(".")[0]


def test_each_part_has_its_place_in_the_order() -> None:
    assert {part_of(path) for path in modules()} == MAY_IMPORT.keys()


@pytest.mark.parametrize("part", sorted(MAY_IMPORT))
def test_a_part_imports_only_what_lies_below_it(part: str) -> None:
    parts = MAY_IMPORT.keys() - {""}
    for path in modules():
        if part_of(path) != part:
            continue
        for name in imports_of(path):
            match = re.match(r"analystd\.(\w+)", name)
            if match and match[1] in parts:
                assert match[1] in MAY_IMPORT[part] | {part}, f"{path.relative_to(PACKAGE)} imports {name}"


@pytest.mark.parametrize("part", DATA_PARTS)
def test_the_parts_of_data_import_neither_each_other_nor_the_views(part: str) -> None:
    above = [*DATA_PARTS, "base", "column_views", "formats", "view_context", "views", "worker", "worker_client"]
    barred = {f"analystd.data.{name}" for name in above if name != part}
    for path in sorted((PACKAGE / "data" / part).glob("*.py")):
        for name in imports_of(path):
            assert ".".join(name.split(".")[:3]) not in barred, f"{path.relative_to(PACKAGE)} imports {name}"


def test_no_modules_import_each_other() -> None:
    paths = {name_of(path): path for path in modules()}
    # `analystd` itself imports its client when that is first asked for, and all that the client imports may import the package.
    graph = {name: modules_imported(path, paths) for name, path in paths.items() if name != "analystd"}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as exc:
        pytest.fail(f"a circle: {' <- '.join(exc.args[1])}")


@pytest.mark.parametrize("library", sorted(HEAVY))
def test_a_heavy_library_is_imported_only_where_it_belongs(library: str) -> None:
    allowed = {path for pattern in HEAVY[library] for path in PACKAGE.glob(pattern)}
    users = {path for path in modules() if any(name.split(".")[0] == library for name in imports_of(path))}
    assert users <= allowed, f"{[str(path.relative_to(PACKAGE)) for path in users - allowed]} import {library}"


def test_the_daemon_starts_without_the_heavy_libraries() -> None:
    code = LOADED.format("analystd.server.daemon", ("pyarrow", "llama_cpp", "ipykernel", "pandas", "numpy", "zmq"))
    assert (
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip() == "[]"
    )


def test_the_relay_starts_without_what_it_does_not_need() -> None:
    heavy = (
        "pygls",
        "lsprotocol",
        "jsonschema",
        "psutil",
        "attrs",
        "dotenv",
        "httpx",
        "numpy",
        "argparse",
        "uuid",
    )
    code = LOADED.format("analystd.relay.stdio", heavy)
    assert (
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip() == "[]"
    )


def test_the_exported_names_are_there() -> None:
    assert [name for name in analystd.__all__ if not hasattr(analystd, name)] == []


def test_the_architecture_page_names_files_that_exist() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    named = set(re.findall(r"`((?:\w+/)*\w+\.py)`", text))
    missing = [name for name in named if not (PACKAGE / name).exists() and not (ROOT / name).exists()]
    assert missing == []
