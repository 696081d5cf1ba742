"""Sixteen clients at once, with all kinds of requests, for a while: the memory of the daemon and its workers comes to a size and stays there.

`make soak` runs it for two minutes.
"""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import psutil
import pytest
from tests.e2e.peers import Peer
from tests.station import Station

DURATION = min(120.0, float(os.environ.get("ANALYSTD_SOAK_SECONDS", "30")))
CLIENTS = 16
WARM_UP = 0.25
"""The part of the time in which the daemon comes to its size."""
NOISE_MB = 5.0
"""How far two medians lie apart in a daemon that keeps nothing: free memory lies in pieces, more so as time goes on."""
WORKERS_NOISE_MB = 20.0
"""The same of all workers together; sessions keep the code of so and so many cells, and come to that number only in a longer run."""
ANSWER_SECONDS = 240.0

pytestmark = pytest.mark.timeout(DURATION + 600)


@pytest.fixture
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    """A home with a scripted model that talks and calls, and a table."""
    station = Station(tmp_path_factory.mktemp("s"))
    station.play(['<tool name="data_view">\n{"path": "t.csv", "operation": "shape"}\n</tool>', "So many."] * 100_000)
    (station.workspace / "t.csv").write_text("n,price\n" + "".join(f"{n},{n * 1.5}\n" for n in range(5000)))
    station.run("exec", "import pandas")
    yield station
    station.stop()


async def ask_on(peer: Peer, dice: random.Random, until: float) -> Counter[str]:
    """Ask for one thing after another; gives how many of each."""
    asked: Counter[str] = Counter()
    while time.monotonic() < until:
        requests: list[tuple[str, dict[str, Any]]] = [
            ("execPython", {"code": f"print('x' * {dice.randrange(20_000)})"}),
            ("execPython", {"code": "1 / 0", "session": "other"}),
            ("viewData", {"path": "t.csv", "operation": "rows", "offset": dice.randrange(4000), "n_rows": 500}),
            ("viewData", {"path": "t.csv", "operation": "describe"}),
            ("readFile", {"path": "t.csv"}),
            ("writeFile", {"path": f"f{dice.randrange(9)}.txt", "content": "x" * dice.randrange(50_000)}),
            ("runAgent", {"prompt": "How many rows has t.csv?"}),
            ("listRuns", {"limit": 20}),
            ("events", {"after": max(0, (peer.numbers or [0])[-1] - 50)}),
            ("status", {}),
        ]
        command, arguments = dice.choice(requests)
        answer = await asyncio.wait_for(peer.start(command, **arguments), ANSWER_SECONDS)
        assert "result" in answer, answer
        peer.told.clear()
        del peer.numbers[:-1]
        asked[command] += 1
    return asked


async def memory_of(daemon: psutil.Process, until: float) -> list[tuple[float, float]]:
    """The memory in MB, of the daemon and of its workers, each half second."""
    seen = []
    while time.monotonic() < until:
        workers = sum(worker.memory_info().rss for worker in daemon.children(recursive=True))
        seen.append((daemon.memory_info().rss / 1e6, workers / 1e6))
        await asyncio.sleep(0.5)
    return seen


def growth(seen: Sequence[float]) -> tuple[float, float]:
    """The medians of the first and of the last third, without the warm-up."""
    warm = seen[int(len(seen) * WARM_UP) :]
    third = len(warm) // 3
    return statistics.median(warm[:third]), statistics.median(warm[-third:])


async def test_the_memory_stays_flat_under_sixteen_clients(station: Station) -> None:
    pid = station.daemon_pid()
    assert pid is not None
    peers = [await Peer.come(station) for _ in range(CLIENTS)]
    until = time.monotonic() + DURATION
    async with asyncio.TaskGroup() as tasks:
        asking = [tasks.create_task(ask_on(peer, random.Random(n), until)) for n, peer in enumerate(peers)]
        watching = tasks.create_task(memory_of(psutil.Process(pid), until))
    await asyncio.gather(*(peer.leave() for peer in peers))
    (first, last), (workers_first, workers_last) = (growth(seen) for seen in zip(*watching.result(), strict=True))
    asked = sum((task.result() for task in asking), Counter[str]())
    print(
        f"\n{dict(asked)}, {asked.total()} in all, in {DURATION:g} s; the daemon's memory after the warm-up {first:.1f} MB, "
        f"at the end {last:.1f}; its workers' {workers_first:.1f} and {workers_last:.1f}",
        flush=True,
    )
    assert last - first < NOISE_MB
    assert workers_last - workers_first < WORKERS_NOISE_MB
