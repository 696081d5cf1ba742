"""What `doctor` finds out about llama.cpp: which library computes local models, and whether it does so rightly."""

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
_PREBUILT_BRINGS = "the prebuilt one (analystd[llama]) would need no compiler"
_NATIVE_BRINGS = "one compiled for this very processor or GPU (analystd[llama-native]) would read prompts faster, if it has AVX-512 or is a GPU"


def library_in_use() -> str | None:
    """Return which library computes local models, and what the other one would bring; None where there is none."""
    build = find_build()
    if build is None or importlib.util.find_spec("jinja2") is None:
        return None
    if build.package == PREBUILT:
        return f"{build}, prebuilt; {_NATIVE_BRINGS}"
    other = installed(PREBUILT)
    there = "" if other is None else f"; {other} is there too, and used after `pip uninstall {NATIVE}`"
    return f"{build}, compiled for this machine; {_PREBUILT_BRINGS}{there}"


async def try_library(settings: Settings) -> tuple[str | None, str]:
    """Hold the library to what is known of it, and have the smallest embedded model that is there go on with a text.

    Returns:
        What was found, and what to do about it; where nothing must be done, None and what was tried.
    """
    build = find_build()
    if build is None:
        return None, "nothing to try"
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
        return f"{build} {_ending(status)} while it was tried", _remedy(build)
    if model is None:
        return None, f"{fits}; nothing was computed, since no embedded model is there (`analystd model pull`)"
    if "untried" in found:
        return None, f"{fits}; nothing was computed: {found['untried']}"
    return None, f"{fits}; {model.name} goes on with {found['text']!r} as it should, in {found['seconds']:.1f} s"


async def _run(settings: Settings, model: Path | None) -> tuple[int | None, dict[str, Any]]:
    """The exit status of the self-test, None: it took too long; and what it printed."""
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
        return f"did not come to an end within {_SECONDS:g} s"
    return f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with exit status {status}"


def _remedy(build: Build) -> str:
    if build.package == NATIVE:
        return (
            "It may have been compiled for another processor: `make setup LLAMA=native` in a new checkout compiles it anew, and after "
            f"`pip uninstall {NATIVE}` the prebuilt one of analystd[llama] is used."
        )
    return f"Run `pip install --force-reinstall --no-deps '{REQUIREMENTS[PREBUILT]}'`, or compile it for this machine: analystd[llama-native]."
