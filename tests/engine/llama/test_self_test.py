"""Test llama.cpp's library before it is used: the real ones, and some that only resemble it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from tests.engine.llama.wrong_libraries import Wrong, installed_python

from analystd.engine.llama.libllama import REQUIREMENTS, find_build
from analystd.engine.llama.llama_model import LlamaModel
from analystd.engine.llama.self_test import decode_greedily

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]

LOAD = """
import asyncio, sys
from pathlib import Path
from analystd.engine.llama.engine import LlamaEngine
from analystd.wire.errors import EngineUnavailableError

async def main():
    engine = LlamaEngine(lambda: Path(sys.argv[1]), context_tokens=512)
    try:
        await engine.load()
    except EngineUnavailableError as exc:
        print(exc.message, exc.hint, sep="\\n")
    finally:
        await engine.aclose()

asyncio.run(main())
"""


def doctor(python: Path | str, home: Path, cache: Path | None = None) -> dict[str, dict[str, object]]:
    """What `doctor` finds with this Python, by the names of its checks."""
    folders = {f"XDG_{kind}_HOME": str(home / kind.lower()) for kind in ("STATE", "CONFIG", "CACHE")}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AGENT_")} | folders
    if cache is not None:
        environment["XDG_CACHE_HOME"] = str(cache)
    home.mkdir()
    done = subprocess.run(
        [python, "-m", "analystd", "doctor", "--json"],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return {check["name"]: check for check in json.loads(done.stdout)["checks"]}


def test_the_declared_versions_are_the_installed_ones() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert set(REQUIREMENTS.values()) == {extras["llama"][0], extras["llama-native"][0]}


def test_a_model_continues_correctly_and_its_sequence_is_empty_afterwards(model: LlamaModel) -> None:
    assert decode_greedily(model, 4) == " four, five,"
    assert model.stored(0) == 0


def test_doctor_reports_the_library_and_that_it_computes_correctly(tmp_path: Path, gguf: Path) -> None:
    checks = doctor(sys.executable, tmp_path / "home", gguf.parents[2])
    build = find_build()
    assert str(checks["llama.cpp"]["found"]).startswith(f"{build}, ")
    assert checks["self-test"]["ok"]
    assert " goes on with ' four" in str(checks["self-test"]["found"])


def test_doctor_reports_that_nothing_was_computed_without_a_model(tmp_path: Path) -> None:
    check = doctor(sys.executable, tmp_path / "home")["self-test"]
    assert check["ok"]
    assert "fit; nothing was computed, since no embedded model is there" in str(check["found"])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (Wrong(lacks="decode"), "does not fit this version of analystd: it has no function llama_decode"),
        (
            Wrong(more_bytes=16),
            "does not fit this version of analystd: llama_context_default_params returns a structure of",
        ),
        (Wrong(n_ctx=4096), "llama_context_default_params returns an unexpected default for n_ctx"),
        (
            Wrong(version="0.3.20"),
            "0.3.20 does not fit this version of analystd: llama-cpp-python>=0.3.36,<0.4 is needed",
        ),
        (Wrong(at_defaults="raise(SIGILL)"), "llama-cpp-python 0.3.36 was ended by SIGILL while it was tried"),
    ],
    ids=["a function is missing", "a larger structure", "another default", "another version", "another processor"],
)
def test_an_unsuitable_library_is_rejected_with_a_hint(tmp_path: Path, wrong: Wrong, said: str) -> None:
    check = doctor(installed_python(tmp_path / "python", wrong), tmp_path / "home")["self-test"]
    assert not check["ok"]
    assert said in str(check["found"])
    assert "`pip uninstall llama-cpp-python`" in str(check["advice"])


@pytest.mark.parametrize(
    ("score", "said"),
    [("NAN", "computes invalid scores"), ("0", "computes invalid scores"), ("token", "computes wrong results")],
)
def test_a_library_that_computes_wrong_results_is_detected(tmp_path: Path, gguf: Path, score: str, said: str) -> None:
    check = doctor(installed_python(tmp_path / "python", Wrong(score=score)), tmp_path / "home", gguf.parents[2])
    assert not check["self-test"]["ok"]
    assert said in str(check["self-test"]["found"])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (Wrong(more_bytes=16), "does not fit this version of analystd"),
        (Wrong(score="NAN"), "computes invalid scores"),
        (Wrong(at_defaults="raise(SIGILL)"), "was ended by SIGILL"),
    ],
    ids=["another structure", "nonsense", "another processor"],
)
def test_an_unsuitable_library_generates_no_reply(tmp_path: Path, gguf: Path, wrong: Wrong, said: str) -> None:
    python = installed_python(tmp_path / "python", wrong)
    done = subprocess.run([python, "-c", LOAD, str(gguf)], capture_output=True, text=True, timeout=100)
    message, hint = done.stdout.splitlines()
    assert said in message, done.stderr
    assert "pip install" in hint or "`analystd doctor`" in hint
