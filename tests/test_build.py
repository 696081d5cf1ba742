"""The package can be built where there is no C compiler: a wheel brings one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ASK = "import sys; sys.path.insert(0, 'build_backend'); from with_compiler import _compiler; print(_compiler())"


def compiler(environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-c", ASK], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_without_a_compiler_one_is_required_from_a_wheel(tmp_path: Path) -> None:
    pytest.importorskip("setuptools")
    assert compiler({"PATH": str(tmp_path)}).startswith("['ziglang==")


def test_with_a_compiler_nothing_is_required() -> None:
    pytest.importorskip("setuptools")
    shell = shutil.which("sh")
    assert shell is not None
    assert compiler({"PATH": os.environ["PATH"], "CC": f"{shell} -O2"}) == "[]"
