"""What one session leaves running fills the disk, the memory and the process table while nothing runs; a well-behaved window notices nothing.

`make soak` runs it for two minutes.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections.abc import Iterator

import psutil
import pytest
from tests.e2e.peers import Peer
from tests.station import Station

from analystd.jail.resource_usage import folder_bytes

DURATION = min(120.0, float(os.environ.get("ANALYSTD_SOAK_SECONDS", "20")))
ANSWER_SECONDS = 30.0
MAX_BYTES = 2_000_000_000
"""Ten times the limit: what a disk takes between two looks of a watchdog on a busy machine."""
MAX_PROCESSES = 2_000
PAUSE_SECONDS = 4.0

LOADS = {
    "disk": "f = open(f'fill{time.time()}', 'wb')\nwhile True: f.write(bytes(1_000_000)); f.flush(); time.sleep(0.003)",
    "deleted files": "f = open('gone', 'wb'); os.unlink('gone')\nwhile True: f.write(bytes(1_000_000)); f.flush(); time.sleep(0.003)",
    "processes": "import subprocess\nwhile True: subprocess.Popen(['sleep', '600'])",
    "threads": "import threading\nwhile True: threading.Thread(target=time.sleep, args=[600]).start()",
    "memory": "x = [b'x' * 1_000_000 for _ in range(300)]\ntime.sleep(600)",
    "output": "while True: print('x' * 1000)",
}

pytestmark = pytest.mark.timeout(DURATION + 600)


@pytest.fixture
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    """A home whose workspace may hold 0.2 GB."""
    station = Station(tmp_path_factory.mktemp("s"), AGENT_WORKSPACE_MAX_GB="0.2")
    station.play([])
    station.run("exec", "1")
    yield station
    station.stop()


async def misbehave(peer: Peer, dice: random.Random, until: float) -> int:
    """Leave one load after another running, in a process or in a thread, and clean up as one is told to; gives how many."""
    count = 0
    while time.monotonic() < until:
        name = list(LOADS)[count % len(LOADS)]
        code = "import os, subprocess, sys, threading, time\nfor n in os.listdir('.'):\n    if n.startswith('fill'): os.remove(n)\n"
        load = f"import os, time\n{LOADS[name]}"
        if dice.random() < 0.7:
            code += f"subprocess.Popen([sys.executable, '-c', {load!r}], start_new_session=True);"
        else:
            code += f"threading.Thread(target=exec, args=[{load!r}, {{}}], daemon=True).start()"
        answer = await asyncio.wait_for(peer.start("execPython", code=code, session="wild"), ANSWER_SECONDS)
        assert "result" in answer, (name, answer)
        await asyncio.sleep(dice.uniform(0, PAUSE_SECONDS))
        count += 1
    return count


async def behave(peer: Peer, until: float) -> list[float]:
    """Compute and look on; gives how long each answer took. Others' files may be too many, but no answer may be missing or wrong."""
    seconds = []
    while time.monotonic() < until:
        begun = time.monotonic()
        answer = await asyncio.wait_for(peer.start("execPython", code="sum(range(10))", session="calm"), ANSWER_SECONDS)
        assert (answer["result"]["status"], answer["result"]["result"]) == ("ok", "45"), answer
        seconds.append(time.monotonic() - begun)
        await asyncio.wait_for(peer.start("status"), ANSWER_SECONDS)
        peer.told.clear()
        del peer.numbers[:-1]
        await asyncio.sleep(0.1)
    return seconds


async def measure(station: Station, daemon: psutil.Process, until: float) -> tuple[int, int]:
    """The most that the workspace held, and the most processes."""
    size, processes = 0, 0
    while time.monotonic() < until:
        size = max(size, await asyncio.to_thread(folder_bytes, station.workspace))
        processes = max(processes, len(await asyncio.to_thread(daemon.children, recursive=True)))
        await asyncio.sleep(0.2)
    return size, processes


async def test_what_a_session_leaves_running_harms_nobody(station: Station) -> None:
    pid = station.daemon_pid()
    assert pid is not None
    wild, calm = [await Peer.come(station) for _ in range(2)]
    dice = random.Random(11)
    until = time.monotonic() + DURATION
    async with asyncio.TaskGroup() as tasks:
        loads = tasks.create_task(misbehave(wild, dice, until))
        answers = tasks.create_task(behave(calm, until))
        most = tasks.create_task(measure(station, psutil.Process(pid), until))
    await asyncio.gather(wild.leave(), calm.leave())
    lines = [line for path in station.state.glob("desks/*/journal/*.jsonl") for line in path.read_text().splitlines()]
    told = [event for event in map(json.loads, lines) if event["kind"] == "limit"]
    slowest, (size, processes) = max(answers.result()), most.result()
    print(
        f"\n{loads.result()} loads, {len(told)} ended for a limit; {len(answers.result())} answers, the slowest in {slowest:.1f} s; "
        f"at most {size / 1e6:.0f} MB and {processes} processes",
        flush=True,
    )
    assert told
    assert all(event["session"] == "wild" for event in told)
    assert size < MAX_BYTES
    assert processes < MAX_PROCESSES
    assert psutil.pid_exists(pid)
