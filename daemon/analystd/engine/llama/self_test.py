"""Test whether llama.cpp works here: check its library against the declarations, and let a model continue a text with a known continuation.

`python -m analystd.engine.llama.self_test [MODEL …]` does so in a process of its own, since an unsuitable library may crash it, and prints
the result as JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from analystd.engine.llama.libllama import load_library
from analystd.engine.llama.llama_model import BatchEntry, BatchOutcome, LlamaModel, uses_gpu
from analystd.jail.resource_usage import memory
from analystd.models.gguf import read_header
from analystd.models.memory_estimate import needs_of, refusal
from analystd.wire.errors import AnalystdError, EngineUnavailableError

TEXT = "One, two, three,"
_EXPECTED = " four"
_TOKENS = 4
_CONTEXT_TOKENS = 512


def main(arguments: Sequence[str] | None = None) -> None:
    """Test the library in use and print the result."""
    parser = argparse.ArgumentParser(prog="analystd.engine.llama.self_test")
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("--gpu-layers", type=int, default=-1)
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args(arguments)
    try:
        found = _test(options)
    except AnalystdError as exc:
        found = {"problem": exc.message, "hint": exc.hint}
    sys.stdout.write(json.dumps(found))


def decode_greedily(model: LlamaModel, count: int) -> str:
    """Return the model's continuation of `TEXT`: the most likely token, `count` times. The first sequence is empty before and after.

    Raises:
        EngineUnavailableError: when the results are not valid scores.
    """
    waiting, stored, written = model.vocabulary.tokenize(TEXT, special=False) or [0], 0, b""
    for _ in range(count):
        entries = [
            BatchEntry(token, stored + index, 0, index == len(waiting) - 1) for index, token in enumerate(waiting)
        ]
        scores = (
            model.logits(len(waiting) - 1) if model.decode(entries) is BatchOutcome.DONE else np.zeros(1, np.float32)
        )
        if not np.isfinite(scores).all() or scores.min() == scores.max():
            raise EngineUnavailableError(
                f"llama.cpp ({load_library().build}) computes invalid scores with {model.description}",
                "The file may be damaged, or the library may not work on this machine: `analystd doctor` tests it with the embedded model.",
            )
        stored += len(waiting)
        waiting = [int(scores.argmax())]
        written += model.vocabulary.piece(waiting[0])
    model.keep(0, 0)
    return written.decode("utf-8", "replace")


def _test(options: argparse.Namespace) -> dict[str, Any]:
    build = str(load_library().build)
    if options.model is None:
        return {"build": build}
    needs = needs_of(read_header(options.model), _CONTEXT_TOKENS)
    if not uses_gpu(options.gpu_layers) and (problem := refusal(options.model, needs, memory().available)) is not None:
        return {"build": build, "untried": problem.message}
    started = time.monotonic()
    model = LlamaModel(
        options.model,
        gpu_layers=options.gpu_layers,
        context_tokens=_CONTEXT_TOKENS,
        conversations=1,
        threads=options.threads,
    )
    text = decode_greedily(model, _TOKENS)
    if not text.startswith(_EXPECTED):
        raise EngineUnavailableError(
            f"llama.cpp ({build}) computes wrong results: after {TEXT!r}, {options.model.name} continues with {text!r}",
            "Please report this; another build of llama.cpp may work (analystd[llama], analystd[llama-native]).",
        )
    return {"build": build, "text": text, "seconds": round(time.monotonic() - started, 1)}


if __name__ == "__main__":
    main()
