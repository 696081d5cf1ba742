"""A worker that fills the memory is killed with the reason; another one is not, however little memory is free."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import pytest

from analystd.engine.base import GenerateRequest, Message
from analystd.engine.llama import memory_guard
from analystd.engine.llama.engine import LlamaEngine
from analystd.engine.llama.memory_guard import MemoryGuard
from analystd.engine.llama.worker_sandbox import worker_environment
from analystd.wire.errors import EngineUnavailableError, WorkerDiedError
from analystd.workers.parent import Worker

pytestmark = pytest.mark.slow

ALWAYS = 99.99
"""So much of the memory is free on no machine."""

GROWING = """
import time
from analystd.workers.child import Channel
channel = Channel()
channel.ready({})
kept = []
while True:
    request = channel.next_request(None)
    if request.method == "grow":
        for _ in range(request.params["mib"]):
            kept.append(bytearray(b"x" * (1 << 20)))
        time.sleep(request.params["seconds"])
    request.reply({"kept": len(kept)})
"""

QUESTION = GenerateRequest("c", (Message("user", "Hello"),), max_tokens=4)


async def started(guard: MemoryGuard) -> Worker:
    argv = [sys.executable, "-P", "-c", GROWING]
    worker = await Worker.start("model", argv, environment=worker_environment({}), on_start=guard.watch)
    guard.settle(worker)
    return worker


async def test_a_worker_that_grows_while_memory_is_short_is_killed_with_a_report(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory_guard, "GROWTH_BYTES", 100 << 20)
    guard = MemoryGuard(ALWAYS)
    worker = await started(guard)
    try:
        assert await worker.request("grow", {"mib": 40, "seconds": 0.6}) == {"kept": 40}
        with pytest.raises(WorkerDiedError):
            await worker.request("grow", {"mib": 120, "seconds": 30})
    finally:
        guard.stop()
        await worker.aclose()
    assert guard.breach is not None
    assert re.search(r"it used 0\.[12] GiB of memory in addition to the model.s file, and only", guard.breach.message)
    assert "the minimum is 99.99%" in guard.breach.message
    assert "AGENT_CONTEXT_TOKENS" in str(guard.breach.hint)


async def test_a_worker_may_grow_while_enough_memory_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_guard, "GROWTH_BYTES", 10 << 20)
    guard = MemoryGuard(0.0)
    worker = await started(guard)
    try:
        assert await worker.request("grow", {"mib": 120, "seconds": 0.6}) == {"kept": 120}
    finally:
        guard.stop()
        await worker.aclose()
    assert guard.breach is None


async def test_a_model_that_uses_the_reserved_memory_is_killed_while_it_loads(gguf: Path) -> None:
    engine = LlamaEngine(lambda: gguf, context_tokens=8192, min_free_ram_percent=ALWAYS)
    try:
        for _ in range(2):
            with pytest.raises(
                EngineUnavailableError, match=r"The model's worker was stopped: it used \d\.\d GiB"
            ) as refusal:
                # If the worker is ready before the first check, the first reply is interrupted.
                await asyncio.gather(*(engine.generate(QUESTION, lambda _: False) for _ in range(2)))
            assert "lower AGENT_MIN_FREE_RAM_PERCENT" in str(refusal.value.hint)
    finally:
        await engine.aclose()


async def test_a_small_model_works_with_any_amount_of_free_memory(gguf: Path) -> None:
    engine = LlamaEngine(lambda: gguf, context_tokens=256, min_free_ram_percent=ALWAYS)
    try:
        for _ in range(3):
            assert (await engine.generate(QUESTION, lambda _: False)).completion_tokens > 0
            await asyncio.sleep(0.3)
    finally:
        await engine.aclose()
