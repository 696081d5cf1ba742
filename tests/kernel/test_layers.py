"""What is imported where."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import analystd.kernel

HEAVY = {"zmq", "tornado", "jupyter_client", "ipykernel", "IPython"}


def test_a_daemon_whose_user_never_runs_python_loads_no_jupyter() -> None:
    code = f"import sys, analystd.kernel.session\nprint({HEAVY!r} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


def test_what_runs_in_the_session_imports_nothing_of_the_daemon() -> None:
    inside = Path(analystd.kernel.__path__[0]) / "inside"
    for path in inside.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names.append(node.module or "")
            assert not any(name.split(".")[0] == "analystd" for name in names), path.name
