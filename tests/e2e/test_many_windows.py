"""Many clients of one desk: each is served, told each event once, and loses nothing by going; one that does not read costs only itself."""

from __future__ import annotations

import asyncio
import resource
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import psutil
import pytest
from tests.e2e.peers import Peer, has
from tests.station import SECONDS, Station

Come = Callable[..., Awaitable[Peer]]

QUEUE_MB = 16
SHOW = "from IPython.display import display; display({'image/png': 'x' * 2_000_000}, raw=True)"
"""Tells everybody four million bytes: once as it is shown, once as part of the result."""


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    """A station whose daemon is there, and keeps little for clients that do not read."""
    station = Station(tmp_path_factory.mktemp("s"), AGENT_CLIENT_QUEUE_MB=str(QUEUE_MB))
    station.play([])
    station.run("exec", "1")
    yield station
    station.stop()


@pytest.fixture
async def come() -> AsyncIterator[Come]:
    """`Peer.come`; the peers leave after the test."""
    peers: list[Peer] = []

    async def come(station: Station, client_id: str | None = None, name: str | None = None, **options: Any) -> Peer:
        peer = await Peer.come(station, client_id, name, **options)
        peers.append(peer)
        return peer

    yield come
    await asyncio.gather(*(peer.leave() for peer in peers))


def daemon(station: Station) -> psutil.Process:
    pid = station.daemon_pid()
    assert pid is not None
    return psutil.Process(pid)


async def test_sixty_four_clients_at_once_are_each_served_and_told_everything_once(
    station: Station, come: Come
) -> None:
    peers = await asyncio.gather(*(come(station, events_after=0) for _ in range(64)))
    answers = await asyncio.gather(
        *(peer.command("execPython", code=f"{number} * 2") for number, peer in enumerate(peers))
    )
    assert [answer["result"] for answer in answers] == [str(number * 2) for number in range(64)]
    last = (await peers[0].command("events", after=0))["seq"]
    for peer in peers:
        await peer.reached(last)
        assert peer.numbers == list(range(1, last + 1))


async def test_an_answer_comes_after_the_events_that_led_to_it_also_while_a_client_catches_up(
    station: Station, come: Come
) -> None:
    first = await come(station)
    await asyncio.gather(*(first.command("execPython", code="1") for _ in range(50)))
    for _ in range(5):
        peer = await come(station, events_after=0)
        answer = await peer.command("execPython", code="1")
        assert (peer.events[-1]["kind"], peer.events[-1]["run_id"]) == ("run_finished", answer["run_id"])


async def test_a_client_that_does_not_read_is_dropped_delays_nobody_and_catches_up(
    station: Station, come: Come
) -> None:
    peers = await asyncio.gather(*(come(station, events="all" if n % 8 == 1 else "mine") for n in range(63)))
    watcher = peers[1]
    silent = await come(station, "silent-one", "Silent")
    await watcher.command("execPython", code="1")
    await silent.reached(watcher.numbers[-1])
    known = silent.numbers[-1]
    await silent.stop_reading()
    before = daemon(station).memory_info().rss
    for _ in range(QUEUE_MB // 4 + 2):
        assert (await watcher.command("execPython", code=SHOW))["status"] == "ok"
        last = (await watcher.command("events", after=known, limit=1))["seq"]
        await asyncio.gather(*(peer.reached(last) for peer in peers if peer.about["events"] == "all"))
        answers = await asyncio.gather(*(peer.command("listRuns", limit=1) for peer in peers))
        assert all(answer == answers[0] for answer in answers)
    async with asyncio.timeout(SECONDS):
        while "does not read" not in station.log.read_text():
            await asyncio.sleep(0.1)
    await silent.is_dropped()
    async with asyncio.timeout(SECONDS):
        while "silent-one" in [client["id"] for client in (await watcher.command("status"))["clients"]]:
            pass
    (line,) = [line for line in station.log.read_text().splitlines() if "does not read" in line]
    assert "Silent-" in line
    assert f"{QUEUE_MB * 2**20} are the limit (AGENT_CLIENT_QUEUE_MB)" in line
    assert daemon(station).memory_info().rss - before < 50_000_000 + 2 * QUEUE_MB * 2**20
    back = await come(station, "silent-one", "Silent", events_after=known)
    last = back.about["seq"]
    await back.reached(last)
    assert back.numbers == list(range(known + 1, last + 1))


async def test_everyone_sees_who_ran_what_and_anyone_can_cancel_it(station: Station, come: Come) -> None:
    mine = await come(station, "id-of-a", "Neovim")
    other = await come(station, "id-of-b", "Helix")
    running = mine.start("execPython", code="import time; time.sleep(60)", session="side")
    event = await other.event("run_started", client_id="id-of-a")
    who = {"client": mine.about["client"], "client_id": "id-of-a", "session": "side"}
    assert who["client"].startswith("Neovim-")
    assert has(event, who)
    status = await other.command("status")
    (run,) = [run for desk in status["desks"] for run in desk["runs"]]
    assert has(run, {"run_id": event["run_id"], "status": "running", **who})
    assert {"id-of-a", "id-of-b"} <= {client["id"] for client in status["clients"]}
    assert (
        f"running {event['run_id']} python on side by Neovim-"
        in (await asyncio.to_thread(station.run, "status")).stdout
    )
    assert (await other.command("cancelRun", run_id=event["run_id"]))["status"] == "cancelling"
    assert (await asyncio.wait_for(running, SECONDS))["result"]["status"] == "interrupted"
    about = await other.command("getRun", run_id=event["run_id"])
    assert has(about["run"], who)
    assert all(has(event, who) for event in about["events"])
    assert about["events"][-1]["cancelled_by"] == {"client": other.about["client"], "client_id": "id-of-b"}
    (listed,) = (await other.command("listRuns", limit=1))["runs"]
    assert has(listed, who)
    told = (await asyncio.to_thread(station.run, "runs")).stdout
    assert who["client"] in told
    assert "interrupted by Helix-" in (await asyncio.to_thread(station.run, "show", event["run_id"])).stdout


async def test_a_run_says_who_interrupted_its_session(station: Station, come: Come) -> None:
    mine, other = await come(station, "id-of-a"), await come(station, "id-of-b")
    running = mine.start("execPython", code="import time; print('begun', flush=True); time.sleep(60)")
    await other.event("output", text="begun\n", client_id="id-of-a")
    await other.command("interrupt")
    assert (await asyncio.wait_for(running, SECONDS))["result"]["status"] == "interrupted"
    finished = await mine.event("run_finished", status="interrupted")
    assert finished["cancelled_by"]["client_id"] == "id-of-b"


async def test_a_run_of_a_window_that_left_goes_on_and_is_its_own_when_it_comes_back(
    station: Station, come: Come
) -> None:
    other = await come(station, "id-of-b")
    window = await come(station, "id-of-a")
    window.start("execPython", code="import time; time.sleep(1); 6 * 7")
    event = await other.event("run_started", client_id="id-of-a")
    await window.leave()
    await other.event("run_finished", run_id=event["run_id"])
    about = await other.command("getRun", run_id=event["run_id"])
    assert about["events"][-1]["result"]["result"] == "42"
    await other.command("execPython", code="'not mine'")
    back = await come(station, "id-of-a", events="mine", events_after=event["seq"])
    finished = await back.event("run_finished", run_id=event["run_id"])
    assert finished["result"]["result"] == "42"
    await back.command("execPython", code="'mine'")
    assert {event["client_id"] for event in back.events} == {"id-of-a"}


async def test_a_subscription_can_be_changed(station: Station, come: Come) -> None:
    quiet, other = await come(station, events="none"), await come(station)
    await other.command("execPython", code="1")
    since = await quiet.command("subscribe", events="all")
    assert quiet.numbers == []
    await other.command("execPython", code="2")
    last = (await other.command("events", after=since["seq"]))["seq"]
    await quiet.reached(last)
    assert quiet.numbers == list(range(since["seq"] + 1, last + 1))
    refused = await other.start("subscribe", events="some")
    assert refused["error"]["message"] == "Invalid arguments: 'some' is not one of ['all', 'mine', 'none']"


async def test_events_are_read_in_pages_and_what_never_was_is_a_snapshot(station: Station, come: Come) -> None:
    peer = await come(station, events="none")
    numbers: list[int] = []
    page = {"more": True}
    while page["more"]:
        page = await peer.command("events", after=numbers[-1] if numbers else 0, limit=50)
        assert len(page["events"]) <= 50
        numbers += [event["seq"] for event in page["events"]]
    assert numbers == list(range(1, page["seq"] + 1))
    gone = await peer.command("events", after=10**9)
    assert (gone["events"], gone["more"], gone["snapshot"]["seq"]) == ([], False, page["seq"])
    assert "main" in [session["name"] for session in gone["snapshot"]["sessions"]]


async def test_events_go_on_over_the_daemons_death(fresh_station: Station, come: Come) -> None:
    station = fresh_station
    station.play([])
    station.run("exec", "1")
    window = await come(station, "id-of-a")
    window.start("execPython", code="print('begun', flush=True)\nimport time; time.sleep(60)")
    event = await window.event("output", text="begun\n")
    daemon(station).send_signal(signal.SIGKILL)
    await window.leave()
    await asyncio.to_thread(station.run, "exec", "2")
    back = await come(station, "id-of-a", events_after=event["seq"])
    finished = await back.event("run_finished", run_id=event["run_id"], status="failed")
    assert finished["error"]["kind"] == "daemon_lost"
    assert finished["client_id"] == "id-of-a"
    last = back.about["seq"]
    await back.reached(last)
    assert back.numbers == list(range(event["seq"] + 1, last + 1))


async def test_while_the_journal_cannot_be_written_nothing_is_told_and_no_run_begins(
    fresh_station: Station, come: Come
) -> None:
    station = fresh_station
    station.play([])
    station.run("exec", "1")
    window = await come(station)
    running = window.start("execPython", code="import time\nfor n in range(20): print(n, flush=True); time.sleep(0.1)")
    started = await window.event("run_started")
    await window.event("output")
    (journal,) = station.state.glob("desks/*/journal/*.jsonl")
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    _limit_files(daemon(station).pid, journal.stat().st_size)
    try:
        assert (await asyncio.wait_for(running, SECONDS))["result"]["status"] == "ok"
        refused = await window.start("execPython", code="2")
        assert (refused["error"]["code"], refused["error"]["data"]["kind"]) == (4002, "resource_limit")
        assert f"The journal in {journal.parent} cannot be written (File too large)" in refused["error"]["message"]
        assert all(event["kind"] != "run_finished" for event in window.events)
        assert window.numbers[-1] == (await window.command("events", after=0))["seq"]
        assert (
            "the journal cannot be written: File too large" in (await asyncio.to_thread(station.run, "status")).stdout
        )
    finally:
        resource.prlimit(daemon(station).pid, resource.RLIMIT_FSIZE, unlimited)
    await window.event("run_finished", run_id=started["run_id"], status="ok")
    assert (await window.command("execPython", code="3"))["result"] == "3"
    await window.event("run_finished", status="ok", client=window.about["client"])
    assert window.numbers == list(range(window.numbers[0], window.numbers[-1] + 1))


def _limit_files(pid: int, size: int) -> None:
    """No file of the process can grow beyond that, as on a full disk."""
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
