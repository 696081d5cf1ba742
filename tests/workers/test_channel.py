from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from analystd.wire.errors import WorkerDiedError, WorkspaceError
from analystd.workers.parent import Supervisor, Worker

pytestmark = pytest.mark.slow

ECHO = [sys.executable, str(Path(__file__).with_name("echo_worker.py"))]


async def start() -> Worker:
    return await Worker.start("echo", ECHO, environment=dict(os.environ))


@pytest.fixture
async def worker() -> AsyncIterator[Worker]:
    worker = await start()
    yield worker
    await worker.aclose()


async def test_a_ready_worker_reports_its_facts(worker: Worker) -> None:
    assert worker.ready == {"answer": 42}
    assert worker.alive


async def test_a_request_is_answered_after_its_events(worker: Worker) -> None:
    events: list[Any] = []
    call = worker.call("echo", {"text": "grün \ud800"}, on_event=events.append)
    assert await call.result() == {"text": "grün \ud800"}
    assert events == [{"half": "gr"}]


async def test_many_requests_get_their_own_answers(worker: Worker) -> None:
    answers = await asyncio.gather(*(worker.request("echo", {"text": str(number) * 1000}) for number in range(50)))
    assert [answer["text"] for answer in answers] == [str(number) * 1000 for number in range(50)]


async def test_an_error_arrives_as_the_error_it_was(worker: Worker) -> None:
    with pytest.raises(WorkspaceError, match="no such thing") as caught:
        await worker.request("refuse", {})
    assert caught.value.hint == "try another"


async def test_cancelling_the_wait_cancels_the_call(worker: Worker) -> None:
    waiting = asyncio.create_task(worker.request("wait", {}))
    await worker_has_calls(worker, 1)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert (await worker.request("echo", {"text": "free again"}))["text"] == "free again"


async def test_a_cancelled_call_still_answers(worker: Worker) -> None:
    call = worker.call("wait", {})
    call.cancel()
    assert await call.result() == {"cancelled": True}


async def test_descriptors_arrive_with_the_request_they_belong_to(worker: Worker, tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        (tmp_path / name).write_text(name)
    one, two, three = (os.open(tmp_path / name, os.O_RDONLY) for name in ("one", "two", "three"))
    first, second = worker.call("read", {}, descriptors=[one, two]), worker.call("read", {}, descriptors=[three])
    assert await first.result() == {"texts": ["one", "two"]}
    assert await second.result() == {"texts": ["three"]}
    for descriptor in (one, two, three):
        os.close(descriptor)


async def test_a_death_fails_pending_calls_with_the_last_line_of_output(worker: Worker) -> None:
    pending = worker.call("die", {})
    with pytest.raises(WorkerDiedError, match="The echo worker ended with exit status 3: last words"):
        await pending.result()
    assert not worker.alive
    with pytest.raises(WorkerDiedError):
        worker.call("echo", {})


async def test_a_killed_worker_is_reported_with_its_signal(worker: Worker) -> None:
    pending = worker.call("wait", {})
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(WorkerDiedError, match="was ended by SIGKILL"):
        await pending.result()


async def test_a_program_that_never_gets_ready_is_ended() -> None:
    with pytest.raises(WorkerDiedError, match=r"not ready after 0\.2 s"):
        await Worker.start(
            "slow", [sys.executable, "-c", "import time; time.sleep(60)"], environment={}, ready_seconds=0.2
        )


async def test_a_program_that_ends_at_once_says_why() -> None:
    with pytest.raises(WorkerDiedError, match=r"exit status 1: .*no such luck"):
        await Worker.start("bad", [sys.executable, "-c", "raise SystemExit('no such luck')"], environment={})


async def test_the_supervisor_starts_another_worker_after_a_death() -> None:
    supervisor = Supervisor(start)
    first = await supervisor.worker()
    assert await supervisor.worker() is first
    with pytest.raises(WorkerDiedError):
        await first.request("die", {})
    second = await supervisor.worker()
    assert second is not first
    assert (await second.request("echo", {"text": "back"}))["text"] == "back"
    await supervisor.aclose()
    assert supervisor.running is None


async def worker_has_calls(worker: Worker, count: int) -> None:
    async with asyncio.timeout(5):
        while len(worker._calls) != count:
            await asyncio.sleep(0)


async def test_a_stopped_worker_is_started_again_on_the_next_use() -> None:
    supervisor = Supervisor(start)
    first = await supervisor.worker()
    await supervisor.rest(lambda: False)
    assert await supervisor.worker() is first
    await supervisor.rest(lambda: True)
    assert supervisor.running is None
    assert not first.alive
    await supervisor.rest(lambda: True)
    second = await supervisor.worker()
    assert (await second.request("echo", {"text": "awake"}))["text"] == "awake"
    await supervisor.aclose()


LINGERING = """
import os, sys, time
if child := os.fork():
    os.closerange(3, 100)
    os.waitpid(child, 0)
    time.sleep(60)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


async def test_a_worker_whose_launcher_outlives_it_is_replaced_at_the_next_request() -> None:
    started: list[Worker] = []

    async def start_lingering() -> Worker:
        argv = [sys.executable, "-c", LINGERING, *ECHO[1:]]
        started.append(await Worker.start("echo", argv, environment=dict(os.environ)))
        return started[-1]

    supervisor = Supervisor(start_lingering)
    dying = (await supervisor.worker()).call("die", {})
    async with asyncio.timeout(20):
        while (await supervisor.worker()) is started[0]:
            await asyncio.sleep(0.01)
    with pytest.raises(WorkerDiedError):
        await dying.result()
    assert (await (await supervisor.worker()).request("echo", {"text": "anew"}))["text"] == "anew"
    await supervisor.aclose()


async def test_cancelling_the_start_of_a_worker_does_not_wait_for_it() -> None:
    argv = [sys.executable, "-c", "import time; print('loading', flush=True); time.sleep(600)"]
    starting = asyncio.ensure_future(Worker.start("slow", argv, environment=dict(os.environ)))
    await asyncio.sleep(0.5)
    starting.cancel()
    # Less than the grace that a worker has which was ready.
    async with asyncio.timeout(1.5):
        await asyncio.gather(starting, return_exceptions=True)
    assert starting.cancelled()
