"""Check llama.cpp for `doctor`: which library computes local models, and whether it computes correctly."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import signal
from pathlib import Path
from typing import Any

from analystd.config.settings import Settings
from analystd.engine.llama.libllama import NATIVE, PREBUILT, REQUIREMENTS, Build, find_build, installed
from analystd.engine.llama.worker_sandbox import worker_environment
from analystd.models.embedded import embedded_models
from analystd.models.resolve import check_content
from analystd.wire.errors import EngineUnavailableError
from analystd.workers.parent import python_module

_SECONDS = 120.0
_PREBUILT_BRINGS = "the prebuilt library (analystd[llama]) needs no compiler"
_NATIVE_BRINGS = "a library compiled for this machine (analystd[llama-native]) reads prompts faster on a GPU or a processor with AVX-512"


def library_in_use() -> str | None:
    """Return which library computes local models, and the advantage of the other one; None when neither is installed."""
    build = find_build()
    if build is None or importlib.util.find_spec("jinja2") is None:
        return None
    if build.package == PREBUILT:
        return f"{build}, prebuilt; {_NATIVE_BRINGS}"
    other = installed(PREBUILT)
    there = "" if other is None else f"; {other} is installed too, and is used after `pip uninstall {NATIVE}`"
    return f"{build}, compiled for this machine; {_PREBUILT_BRINGS}{there}"


async def try_library(settings: Settings) -> tuple[str | None, str]:
    """Check the library's version, functions and structures, and have the smallest embedded model on this machine continue a text.

    Returns:
        The problem and how to fix it; without a problem, None and what was checked.
    """
    build = find_build()
    if build is None:
        return None, "nothing to check"
    model = next((each.path for each in reversed(embedded_models()) if each.path.is_file()), None)
    if model is not None:
        try:
            await asyncio.to_thread(check_content, model)
        except EngineUnavailableError as exc:
            return exc.message, exc.hint or ""
    status, found = await _run(settings, model)
    fits = "version, functions and structures fit"
    if "problem" in found:
        return found["problem"], found.get("hint") or ""
    if status is None or status != 0 or not found:
        return f"{build} {_ending(status)} during its self-test", _remedy(build)
    if model is None:
        return (
            None,
            f"{fits}; nothing was computed, because no embedded model is there (`analystd model pull` fetches one)",
        )
    if "untried" in found:
        return None, f"{fits}; nothing was computed: {found['untried']}"
    return None, f"{fits}; {model.name} continues a text correctly with {found['text']!r}, in {found['seconds']:.1f} s"


async def _run(settings: Settings, model: Path | None) -> tuple[int | None, dict[str, Any]]:
    """Run the self-test, and return its exit status (None: it took too long) and its output."""
    words = [] if model is None else [str(model)]
    words += ["--gpu-layers", str(settings.gpu_layers), "--threads", str(settings.threads)]
    process = await asyncio.create_subprocess_exec(
        *python_module("analystd.engine.llama.self_test", *words),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=worker_environment(os.environ),
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), _SECONDS)
    except TimeoutError:
        return None, {}
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    try:
        found = json.loads(output)
    except ValueError:
        found = {}
    return process.returncode, found


def _ending(status: int | None) -> str:
    if status is None:
        return f"did not finish within {_SECONDS:g} s"
    return f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with exit status {status}"


def _remedy(build: Build) -> str:
    if build.package == NATIVE:
        return (
            "It may have been compiled for another processor: `make setup LLAMA=native` in a new checkout compiles it again; after "
            f"`pip uninstall {NATIVE}` the prebuilt library of analystd[llama] is used."
        )
    return f"Run `pip install --force-reinstall --no-deps '{REQUIREMENTS[PREBUILT]}'`, or compile it for this machine: analystd[llama-native]."
