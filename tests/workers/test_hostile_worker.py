"""A worker that violates the protocol is killed, its callers fail with a clear error, and the next call starts a new worker."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path

import psutil
import pytest
from tests.workers.hostile_worker import ACTS, READY

from analystd.wire.errors import WorkerDiedError
from analystd.workers import calls, parent
from analystd.workers.parent import Supervisor, Worker

pytestmark = pytest.mark.slow

SECONDS = 20.0


async def start(act: str) -> Worker:
    program = str(Path(__file__).with_name("hostile_worker.py"))
    return await Worker.start("hostile", [sys.executable, program, act], environment=dict(os.environ))


async def start_echo() -> Worker:
    program = str(Path(__file__).with_name("echo_worker.py"))
    return await Worker.start("echo", [sys.executable, program], environment=dict(os.environ))


async def ended(worker: Worker) -> None:
    async with asyncio.timeout(SECONDS):
        with contextlib.suppress(psutil.NoSuchProcess):
            while psutil.Process(worker.pid).status() != psutil.STATUS_ZOMBIE:
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("act", ACTS)
async def test_an_invalid_message_of_a_worker_fails_its_callers_and_ends_it(act: str) -> None:
    before = psutil.Process().memory_info().rss
    worker = await start(act)
    reported: list[float] = []
    pending = [
        worker.call("view", {"n": number}, on_event=lambda event: reported.append(float(event["done"])))
        for number in range(3)
    ]
    async with asyncio.timeout(SECONDS):
        for call in pending:
            with pytest.raises(WorkerDiedError, match="The hostile worker "):
                await call.result()
    assert not worker.alive
    with pytest.raises(WorkerDiedError):
        worker.call("view", {})
    await ended(worker)
    await worker.aclose()
    assert psutil.Process().memory_info().rss - before < 1e9


async def test_an_answer_given_twice_ends_the_worker() -> None:
    worker = await start("an answer given twice")
    assert await worker.request("view", {}) == {}
    await ended(worker)
    with pytest.raises(WorkerDiedError, match="sent an answer to an unknown call"):
        worker.call("view", {})
    await worker.aclose()


@pytest.mark.parametrize("act", READY)
async def test_a_worker_with_an_invalid_ready_frame_is_ended(act: str) -> None:
    async with asyncio.timeout(SECONDS):
        with pytest.raises(WorkerDiedError, match="The hostile worker "):
            await start(act)


async def test_an_unfinished_frame_ends_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "FRAME_SECONDS", 0.3)
    worker = await start("part of a frame, for ever")
    pending = worker.call("view", {})
    async with asyncio.timeout(SECONDS):
        with pytest.raises(WorkerDiedError, match="sent part of a frame, then nothing for"):
            await pending.result()
    await worker.aclose()


async def test_a_worker_that_reads_nothing_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parent, "UNREAD_SECONDS", 0.3)
    worker = await start("reads nothing")
    pending = worker.call("write_file", {"content": "x" * 4_000_000})
    async with asyncio.timeout(SECONDS):
        with pytest.raises(WorkerDiedError, match=r"read nothing for 0\.3 s"):
            await pending.result()
    await worker.aclose()


async def test_few_messages_wait_for_a_worker_that_reads_nothing() -> None:
    worker = await start("reads nothing")
    pending = []
    with pytest.raises(WorkerDiedError):
        for _ in range(40):
            pending.append(worker.call("write_file", {"content": "x" * 4_000_000}))
    assert len(pending) < 20
    async with asyncio.timeout(SECONDS):
        with pytest.raises(WorkerDiedError, match="left 64 MiB unread"):
            await pending[0].result()
    await worker.aclose()


async def test_the_supervisor_replaces_a_hostile_worker() -> None:
    started: list[Worker] = []

    async def start_either() -> Worker:
        started.append(await (start_echo() if started else start("no JSON")))
        return started[-1]

    supervisor = Supervisor(start_either)
    with pytest.raises(WorkerDiedError):
        await (await supervisor.worker()).request("view", {})
    assert (await (await supervisor.worker()).request("echo", {"text": "anew"}))["text"] == "anew"
    await supervisor.aclose()
