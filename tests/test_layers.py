"""The arrows between the parts go one way, and heavy libraries stay where they belong."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import analystd

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "daemon" / "analystd"

BASE = {"workers", "util", "wire", "config"}

MAY_IMPORT = {
    "util": set[str](),
    "workers": set[str](),
    "config": set[str](),
    "wire": set[str](),
    "client": {"client", "discovery", "jail"},
    "relay": {"relay", "discovery"},
    "discovery": {"discovery", "jail"},
    "server": {"server", "discovery", "desk", "agent", "tools", "engine", "models", "kernel", "data", "jail"},
    "desk": {"desk", "agent", "tools", "engine", "models", "kernel", "data", "jail"},
    "agent": {"agent", "tools", "engine", "kernel"},
    "tools": {"tools", "engine", "kernel", "data"},
    "engine": {"engine", "models", "jail"},
    "models": {"models", "jail"},
    "kernel": {"kernel", "jail"},
    "data": {"data", "jail"},
    "jail": {"jail"},
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
        "data/column_chunks.py",
        "data/compute/*.py",
        "data/text/csv_columns.py",
        "data/text/column_numbers.py",
        "data/text/json_columns.py",
        "data/typed/*.py",
    ],
}

LOADED = "import sys, {}; print([name for name in {} if name in sys.modules])"


def modules() -> Iterator[Path]:
    yield from sorted(PACKAGE.rglob("*.py"))


@cache
def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@pytest.mark.parametrize("part", sorted(MAY_IMPORT))
def test_a_part_imports_only_what_lies_below_it(part: str) -> None:
    for path in sorted((PACKAGE / part).rglob("*.py")):
        for name in imports_of(path):
            match = re.match(r"analystd\.(\w+)", name)
            if match and (PACKAGE / match[1]).is_dir():
                assert match[1] in MAY_IMPORT[part] | BASE, f"{path.relative_to(PACKAGE)} imports {name}"


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
