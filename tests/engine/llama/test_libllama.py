"""Load llama.cpp's C library from either package."""

from __future__ import annotations

import ctypes.util
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from analystd.engine.llama import libllama
from analystd.engine.llama.libllama import NATIVE, PREBUILT, Build, Library, Package
from analystd.wire.errors import EngineUnavailableError

pytestmark = pytest.mark.slow

MODULES: dict[Package, str] = {NATIVE: "llama_cpp", PREBUILT: "xllamacpp"}

GREEDY = """
import json, sys
from pathlib import Path
from analystd.engine.llama import libllama
build = libllama.installed(sys.argv[1])
libllama.find_build = lambda: build
from analystd.engine.llama.llama_model import BatchEntry, LlamaModel
model = LlamaModel(Path(sys.argv[2]), context_tokens=512, conversations=1)
tokens = model.vocabulary.tokenize("One, two, three,", special=False)
written = []
for position in range(12):
    model.decode([BatchEntry(token, at, 0, True) for at, token in enumerate(tokens[len(written) and -1:], len(tokens) - 1 if written else 0)])
    tokens.append(int(model.logits(0 if written else len(tokens) - 1).argmax()))
    written.append(tokens[-1])
print(json.dumps([model.build, "".join(model.vocabulary.piece(token).decode() for token in written)]))
"""


def required(package: Package) -> Build:
    build = libllama.installed(package)
    if build is None:
        pytest.skip(f"{package} is not installed (`make setup LLAMA=native` compiles llama-cpp-python)")
    return build


@pytest.mark.parametrize("package", [NATIVE, PREBUILT])
def test_a_model_writes_with_the_library_of_either_package(package: Package, gguf: Path) -> None:
    build = required(package)
    done = subprocess.run(
        [sys.executable, "-c", GREEDY, package, str(gguf)], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    used, text = json.loads(done.stdout)
    assert used.startswith(str(build))
    assert text.startswith(" four, five")


def test_an_unsupported_library_is_rejected_with_a_message() -> None:
    name = ctypes.util.find_library("m")
    assert name is not None
    with pytest.raises(
        EngineUnavailableError, match="does not fit this version of analystd: it has no function llama_"
    ):
        Library(Build(PREBUILT, "1.0", Path(name)))


def test_an_invalid_library_file_is_rejected_with_a_message(tmp_path: Path) -> None:
    (tmp_path / "libllama.so").write_bytes(b"nothing")
    with pytest.raises(EngineUnavailableError, match=r"xllamacpp 1\.0 cannot be used"):
        Library(Build(PREBUILT, "1.0", tmp_path / "libllama.so"))


def test_a_structure_of_another_layout_is_rejected_before_a_model_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    build = libllama.find_build()
    assert build is not None
    monkeypatch.setattr(libllama, "_CONTEXT_LAYOUTS", (libllama._context_params(("more", ctypes.c_uint64 * 2)),))
    with pytest.raises(EngineUnavailableError, match="llama_context_default_params returns a structure of"):
        Library(build)


def test_no_package_is_imported_to_find_the_library() -> None:
    code = (
        "import sys; from analystd.engine.llama import libllama; libllama.load_library(); "
        "print(sorted({'llama_cpp', 'xllamacpp'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
    assert importlib.util.find_spec("xllamacpp") or importlib.util.find_spec("llama_cpp")
