"""Whatever is killed at whatever moment: each accepted request is answered once, the journal is whole, and nothing is left over.

`make soak` runs it for five minutes. The seed of what is killed when is printed; `ANALYSTD_SOAK_SEED` repeats it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator

import psutil
import pytest
from tests.soak.editor import Editor, Tally
from tests.station import Station, is_running

from analystd.models.embedded import pull_embedded

DURATION = float(os.environ.get("ANALYSTD_SOAK_SECONDS", "45"))
SEED = int(os.environ.get("ANALYSTD_SOAK_SEED", str(random.randrange(10**6))))
WINDOWS = 4
ANSWER_SECONDS = 240.0

pytestmark = pytest.mark.timeout(DURATION * 2 + 600)


@pytest.fixture
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    """A home with the real model and a table."""
    station = Station(tmp_path_factory.mktemp("s"), AGENT_MODEL_PATH=str(pull_embedded()), AGENT_CONTEXT_TOKENS="4096")
    (station.workspace / "t.csv").write_text("n,price\n" + "".join(f"{n},{n * 1.5}\n" for n in range(5000)))
    yield station
    station.stop()
    for process in processes_of(station):
        process.kill()


def processes_of(station: Station) -> list[psutil.Process]:
    """Every process that came of this home, whoever its parent is now."""
    mark = str(station.home)
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            said = " ".join([*process.cmdline(), *process.environ().values()])
            if mark in said and process.pid != os.getpid() and is_running(process.pid):
                found.append(process)
    return found


def victims(station: Station, editors: list[Editor]) -> dict[str, list[int]]:
    """What may be killed now, by what it is."""
    found: dict[str, list[int]] = {"relay": [pid for editor in editors if (pid := editor.relay_pid) is not None]}
    daemon = station.daemon_pid()
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process(daemon).children(recursive=True) if daemon else []:
            with contextlib.suppress(psutil.Error):
                found.setdefault(kind_of(process.cmdline()), []).append(process.pid)
        found["daemon"] = [daemon] if daemon else []
    for process in processes_of(station):
        with contextlib.suppress(psutil.Error):
            if "exec" in process.cmdline()[:5]:
                found.setdefault("client", []).append(process.pid)
    return {kind: pids for kind, pids in found.items() if pids}


def kind_of(argv: list[str]) -> str:
    line = " ".join(argv)
    for mark, kind in (("engine.worker", "model"), ("data.worker", "data worker"), ("kernel", "kernel")):
        if mark in line:
            return kind
    return "other child"


async def ask_on(editor: Editor, dice: random.Random, until: float) -> None:
    """Ask for one thing after another."""
    while time.monotonic() < until:
        match dice.randrange(6):
            case 0:
                await editor.ask("runAgent", ANSWER_SECONDS, prompt="What columns does t.csv have?", max_steps=2)
            case 1:
                await editor.ask("viewData", ANSWER_SECONDS, path="t.csv", operation=dice.choice(["shape", "tail"]))
            case 2:
                await editor.ask("writeFile", ANSWER_SECONDS, path=f"f{dice.randrange(9)}.txt", content="x" * 1000)
            case number:
                code = f"import time; time.sleep({dice.random() / 2}); {number} * 7"
                await editor.ask("execPython", ANSWER_SECONDS, code=code, session=dice.choice(["main", "other"]))


async def run_scripts(station: Station, until: float) -> None:
    """Scripts that come and go, as a user's own do."""
    while time.monotonic() < until:
        script = await asyncio.create_subprocess_exec(
            *station.command("exec", "import time; time.sleep(0.3); 1"),
            cwd=station.project,
            env=station.environment,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        await asyncio.wait_for(script.wait(), ANSWER_SECONDS)


async def kill_on(station: Station, editors: list[Editor], dice: random.Random, until: float) -> Counter[str]:
    """Kill something every now and then; gives how many of what."""
    killed: Counter[str] = Counter()
    while time.monotonic() < until:
        await asyncio.sleep(dice.uniform(0.2, 3))
        candidates = await asyncio.to_thread(victims, station, editors)
        if candidates:
            kind = dice.choice(sorted(candidates))
            with contextlib.suppress(ProcessLookupError):
                os.kill(dice.choice(candidates[kind]), signal.SIGKILL)
                killed[kind] += 1
    return killed


async def test_whatever_is_killed_each_request_is_answered_once_and_nothing_is_left(station: Station) -> None:
    print(f"\nANALYSTD_SOAK_SEED={SEED}, {DURATION:g} s", flush=True)
    dice, tally = random.Random(SEED), Tally()
    editors = [Editor(station, tally) for _ in range(WINDOWS)]
    until = time.monotonic() + DURATION
    async with asyncio.TaskGroup() as tasks:
        for editor in editors:
            tasks.create_task(ask_on(editor, random.Random(dice.random()), until))
        tasks.create_task(run_scripts(station, until))
        killing = tasks.create_task(kill_on(station, editors, dice, until))
    print(f"killed {dict(killing.result())}; {tally.asked} requests: {dict(tally.outcomes)}", flush=True)
    assert tally.wrong == []
    assert tally.outcomes.total() == tally.asked

    for editor in editors:
        served = await editor.ask("execPython", ANSWER_SECONDS, code="6 * 7")
        assert served is not None and served["result"]["result"] == "42"
        await editor.close()
    station.run("stop")
    await until_gone(station)
    check_journal(station)
    check_leftovers(station)


async def until_gone(station: Station) -> None:
    """Wait until no process of the station is left."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(20):
            while await asyncio.to_thread(processes_of, station):
                await asyncio.sleep(0.2)
    assert [process.cmdline() for process in processes_of(station)] == []


def check_journal(station: Station) -> None:
    """Every number once and in order, and one end for each run that was accepted."""
    (folder,) = (station.state / "desks").glob("*/journal")
    lines = [line for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines()]
    events = [json.loads(line) for line in lines]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    begun = Counter(event["run_id"] for event in events if event["kind"] == "run_queued")
    ended = Counter(event["run_id"] for event in events if event["kind"] == "run_finished")
    assert begun == ended
    assert set(ended.values()) == {1}


def check_leftovers(station: Station) -> None:
    """No socket, no card, no folder of a daemon that was killed."""
    left = [path for path in station.state.rglob("*") if path.is_socket() or path.suffix in (".sock", ".json", ".new")]
    assert [path for path in left if "journal" not in path.parts] == []
    run = station.state / "run"
    assert not run.exists() or list(run.iterdir()) == []
