"""Kernels that were taken over, beside a client that behaves: it is answered throughout, and the daemon's memory comes to a size and stays there.

`make soak` runs it for a minute. The seed of what the kernels send is printed; `ANALYSTD_SOAK_SEED` repeats it.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Iterator

import psutil
import pytest
from tests.e2e.peers import Peer
from tests.kernel.hostile_messages import ACTS, PRELUDE, REPLIES, REPLYING
from tests.station import Station

DURATION = min(60.0, float(os.environ.get("ANALYSTD_SOAK_SECONDS", "20")))
SEED = int(os.environ.get("ANALYSTD_SOAK_SEED", str(random.randrange(10**6))))
SESSIONS = 3
ANSWER_SECONDS = 60.0
MOST_MB = 900.0

pytestmark = pytest.mark.timeout(DURATION + 300)


@pytest.fixture
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    """A home whose model is never asked."""
    station = Station(tmp_path_factory.mktemp("s"))
    station.play([])
    station.run("exec", "1")
    yield station
    station.stop()


def hostile(dice: random.Random) -> str:
    """The code of a cell that sends some of all that, in an order of its own."""
    if dice.random() < 0.2:
        return PRELUDE + REPLYING.replace("{reply}", dice.choice(list(REPLIES.values())))
    acts = dice.sample(list(ACTS.values()), 3)
    return "\n".join([PRELUDE, *acts, "import os; os._exit(3)" if dice.random() < 0.1 else ""])


async def take_over(peer: Peer, session: str, dice: random.Random, until: float) -> int:
    """Run one hostile cell after another; gives how many."""
    count = 0
    while time.monotonic() < until:
        running = peer.start("execPython", code=hostile(dice), session=session, timeout_seconds=20)
        answer = await asyncio.wait_for(running, ANSWER_SECONDS)
        assert "result" in answer or answer["error"]["code"] == 4003, answer
        peer.told.clear()
        count += 1
    return count


async def behave(peer: Peer, until: float) -> list[float]:
    """Compute, look and ask; gives how long each answer took."""
    waits = []
    while time.monotonic() < until:
        begun = time.monotonic()
        assert (await peer.command("execPython", code="6 * 7"))["result"] == "42"
        await peer.command("listFiles")
        await peer.command("listRuns", limit=20)
        waits.append(time.monotonic() - begun)
        peer.told.clear()
    return waits


async def most_memory(pid: int, until: float) -> float:
    """The most memory, in MB, that the daemon takes meanwhile."""
    most = 0.0
    while time.monotonic() < until:
        most = max(most, psutil.Process(pid).memory_info().rss / 1e6)
        await asyncio.sleep(0.2)
    return most


async def test_a_client_that_behaves_is_answered_beside_hostile_kernels(station: Station) -> None:
    print(f"\nANALYSTD_SOAK_SEED={SEED}", flush=True)
    pid = station.daemon_pid()
    assert pid is not None
    good, bad = [await Peer.come(station, events=events) for events in ("mine", "none")]
    until = time.monotonic() + DURATION
    async with asyncio.TaskGroup() as tasks:
        hostile_ones = [
            tasks.create_task(take_over(bad, f"hostile{n}", random.Random(SEED + n), until)) for n in range(SESSIONS)
        ]
        behaving = tasks.create_task(behave(good, until))
        watching = tasks.create_task(most_memory(pid, until))
    waits = sorted(behaving.result())
    print(
        f"{sum(task.result() for task in hostile_ones)} hostile cells; {len(waits)} rounds of the client that behaves, the longest "
        f"{waits[-1]:.2f} s, in the median {waits[len(waits) // 2]:.2f}; the daemon took {watching.result():.0f} MB at the most",
        flush=True,
    )
    assert waits[-1] < ANSWER_SECONDS / 4
    assert watching.result() < MOST_MB
    assert station.daemon_pid() == pid
    await good.leave()
    await bad.leave()
