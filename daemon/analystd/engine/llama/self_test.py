"""Whether llama.cpp computes here: its library is held to what is known of it, and a model goes on with a text that every model knows.

`python -m analystd.engine.llama.self_test [MODEL …]` does so in a process of its own, which a library that does not fit may end, and prints what
it found as JSON.
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

BEGINNING = "One, two, three,"
_GOES_ON = " four"
_TOKENS = 4
_CONTEXT_TOKENS = 512


def main(arguments: Sequence[str] | None = None) -> None:
    """Try the library that is in force and print what came of it."""
    parser = argparse.ArgumentParser(prog="analystd.engine.llama.self_test")
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("--gpu-layers", type=int, default=-1)
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args(arguments)
    try:
        found = _tried(options)
    except AnalystdError as exc:
        found = {"problem": exc.message, "hint": exc.hint}
    sys.stdout.write(json.dumps(found))


def decode_greedily(model: LlamaModel, count: int) -> str:
    """Return what the model says after `BEGINNING`: the likeliest token, `count` times. Its first sequence is empty before and after.

    Raises:
        EngineUnavailableError: when what is computed are no scores of tokens.
    """
    waiting, stored, written = model.vocabulary.tokenize(BEGINNING, special=False) or [0], 0, b""
    for _ in range(count):
        entries = [
            BatchEntry(token, stored + place, 0, place == len(waiting) - 1) for place, token in enumerate(waiting)
        ]
        scores = (
            model.logits(len(waiting) - 1) if model.decode(entries) is BatchOutcome.DONE else np.zeros(1, np.float32)
        )
        if not np.isfinite(scores).all() or scores.min() == scores.max():
            raise EngineUnavailableError(
                f"llama.cpp ({load_library().build}) computes no scores with {model.description}",
                "The file may be damaged, or the library not fit this machine: `analystd doctor` tries it with the embedded model.",
            )
        stored += len(waiting)
        waiting = [int(scores.argmax())]
        written += model.vocabulary.piece(waiting[0])
    model.keep(0, 0)
    return written.decode("utf-8", "replace")


def _tried(options: argparse.Namespace) -> dict[str, Any]:
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
    if not text.startswith(_GOES_ON):
        raise EngineUnavailableError(
            f"llama.cpp ({build}) computes something else than it should: after {BEGINNING!r}, {options.model.name} says {text!r}",
            "Please report it; another build of llama.cpp may be right (analystd[llama], analystd[llama-native]).",
        )
    return {"build": build, "text": text, "seconds": round(time.monotonic() - started, 1)}


if __name__ == "__main__":
    main()
