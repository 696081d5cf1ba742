"""Libraries that resemble llama.cpp's, compiled for a test and installed in a virtual environment of their own."""

from __future__ import annotations

import ctypes
import shutil
import site
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

import analystd
from analystd.engine.llama import libllama

SCORES = 8

# The functions that a model is loaded and asked with: one that knows 8 tokens, each of them an `x`.
MODEL = """
int llama_vocab_n_tokens(void *v) { return 8; }
int llama_model_n_ctx_train(void *m) { return 512; }
unsigned llama_n_ctx_seq(void *c) { return 512; }
unsigned llama_n_seq_max(void *c) { return 1; }
void *llama_model_load_from_file(void) { return &scores; }
void *llama_init_from_model(void) { return &scores; }
int llama_tokenize(void *v, const char *text, int length, int *tokens) { tokens[0] = 1; return 1; }
int llama_token_to_piece(void *v, int token, char *piece) { piece[0] = 'x'; return 1; }
float *llama_get_logits_ith(void *c, int index) {
    for (int token = 0; token < 8; token++) scores[token] = SCORE;
    return scores;
}
"""


@dataclass(frozen=True)
class Wrong:
    """How a library differs from the right one."""

    version: str = "0.3.36"
    lacks: str = ""
    """A function, without `llama_`."""
    more_bytes: int = 0
    """What `llama_context_params` has at its end."""
    n_ctx: int = 512
    at_defaults: str = ""
    """A statement that is carried out when the model's default parameters are asked for."""
    score: str = "token"
    """Of each token."""


def installed_python(folder: Path, wrong: Wrong) -> Path:
    """Return a Python that has analystd and all that it needs, and this library as llama-cpp-python's."""
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    venv.create(folder, symlinks=True)
    packages = Path(sysconfig.get_path("purelib", "venv", vars={"base": str(folder), "platbase": str(folder)}))
    paths = [str(Path(analystd.__file__).parents[1]), *site.getsitepackages()]
    (packages / "with.pth").write_text("\n".join(paths), encoding="utf-8")
    information = packages / f"llama_cpp_python-{wrong.version}.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: llama-cpp-python\nVersion: {wrong.version}\n", encoding="utf-8"
    )
    library = packages / "llama_cpp" / "lib" / "libllama.so"
    library.parent.mkdir(parents=True)
    (packages / "llama_cpp" / "__init__.py").touch()
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-w", "-x", "c", "-", "-o", library, "-lm"],
        input=source(wrong),
        text=True,
        check=True,
    )
    return folder / "bin" / Path(sys.executable).name


def source(wrong: Wrong) -> str:
    """A library in C: its structures are those that are declared, filled in as is expected, but for what is wrong."""
    model = filled(libllama.ModelParams, libllama._EXPECTED_MODEL)
    context = filled(libllama._CONTEXT_LAYOUTS[0], {**libllama._EXPECTED_CONTEXT, "n_ctx": wrong.n_ctx})
    parts = [
        f"#include <math.h>\n#include <signal.h>\n#include <stdlib.h>\n#define SCORE {wrong.score}\nstatic float scores[8];",
        giving("model_default_params", model, wrong.at_defaults),
        giving("context_default_params", context + bytes(wrong.more_bytes)),
        "struct batch { int n; void *p[6]; };\nstruct batch llama_batch_init(int n, int e, int s) {\n"
        "    struct batch b = {0, {calloc(n, 4), 0, calloc(n, 4), calloc(n, 4), calloc(n, 8), calloc(n, 4)}};\n"
        "    for (int i = 0; i < n; i++) ((void **)b.p[4])[i] = calloc(s, 4);\n    return b;\n}",
        MODEL,
    ]
    text = "\n".join(parts)
    others = (name for name in libllama._SIGNATURES if f"llama_{name}(" not in text and name != wrong.lacks)
    return text + "\n" + "\n".join(f"void *llama_{name}(void) {{ return 0; }}" for name in others)


def filled(layout: type[ctypes.Structure], values: Mapping[str, object]) -> bytes:
    structure = layout()
    for name, value in values.items():
        setattr(structure, name, value)
    return bytes(structure)


def giving(name: str, content: bytes, statement: str = "") -> str:
    """A function that returns a structure of these bytes."""
    numbers = ", ".join(map(str, content))
    return (
        f"struct {name} {{ unsigned char bytes[{len(content)}]; }};\n"
        f"struct {name} llama_{name}(void) {{ {statement}; struct {name} s = {{{{{numbers}}}}}; return s; }}"
    )
