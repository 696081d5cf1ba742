"""The daemon answers a client at once whatever it does for another: nothing that grows with what users have keeps its loop."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from tests.e2e.peers import Peer
from tests.station import Station

QUIET = "import time\nend = time.monotonic() + 2\nwhile time.monotonic() < end: pass"
LARGE = (
    "from IPython.display import display\nfor _ in range(8): display({'application/json': [[]] * 300_000}, raw=True)"
)
PICTURES = "from IPython.display import display\nfor _ in range(9): display({'text/html': 'x' * 3_500_000}, raw=True)"

FLOOR_SECONDS = 0.7
"""A wait that is no sign of anything on a machine with other work."""


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    """A station whose daemon does not trace all that it sends, which takes its time."""
    station = Station(tmp_path_factory.mktemp("s"))
    station.environment.pop("AGENT_TRACE", None)
    station.play([])
    station.run("exec", "1")
    yield station
    station.stop()


async def longest_wait(peer: Peer, work: Awaitable[Any]) -> float:
    """The longest that an answer to a ping took while the work went on."""
    working = asyncio.ensure_future(work)
    longest = 0.0
    while not working.done():
        begun = time.monotonic()
        answer = await peer.request("analystd/ping", {})
        longest = max(longest, time.monotonic() - begun)
        assert answer["error"]["code"] == -32601
        await asyncio.sleep(0.005)
    await working
    return longest


async def command(station: Station, *arguments: str) -> str:
    """What a command prints, in a process of its own, so that nothing but the daemon keeps a ping waiting."""
    return (await asyncio.to_thread(station.run, *arguments)).stdout


async def show_and_read_again(station: Station, _peer: Peer) -> None:
    await command(station, "exec", LARGE)
    runs = await command(station, "runs", "--json")
    await command(station, "show", json.loads(runs)["runs"][0]["run_id"], "--json")


async def show_pictures(station: Station, _peer: Peer) -> None:
    await command(station, "exec", PICTURES)


async def ask_wrongly(_station: Station, peer: Peer) -> None:
    """Messages of some MB: one with a million misfits, and one that is of the right form and has far too much in it."""
    for columns in (b"1," * 3_000_000 + b"1", b'"x",' * 1_000_000 + b'"x"'):
        arguments = b'{"path":"t.csv","operation":"head","columns":[%b]}' % columns
        params = b'{"command":"analystd.viewData","arguments":[%b]}' % arguments
        answer = await peer.ask_body("workspace/executeCommand", params)
        assert answer["error"]["code"] == -32602


WORK: dict[str, Callable[[Station, Peer], Awaitable[Any]]] = {
    "large structures": show_and_read_again,
    "large texts": show_pictures,
    "wrong arguments": ask_wrongly,
}


@pytest.mark.parametrize("what", WORK)
async def test_a_client_is_answered_at_once_while_another_has_large_things_done(station: Station, what: str) -> None:
    other, peer = [await Peer.come(station, events="none") for _ in range(2)]
    usual = await longest_wait(other, command(station, "exec", QUIET))
    assert await longest_wait(other, WORK[what](station, peer)) < max(FLOOR_SECONDS, 5 * usual)
    await other.leave()
    await peer.leave()


@pytest.mark.parametrize("method", ["initialize", "workspace/executeCommand", "textDocument/hover", "no/such"])
@pytest.mark.parametrize("depth", [300, 100_000])
async def test_a_request_that_nests_too_deep_is_answered_and_the_connection_lives(
    station: Station, method: str, depth: int
) -> None:
    peer = await Peer.come(station, events="none")
    answer = peer.ask_body(method, b"[" * depth + b"]" * depth)
    error = (await asyncio.wait_for(answer, 30))["error"]
    assert error["code"] == -32700
    assert "nests more than 200" in error["message"]
    assert (await peer.command("status"))["pid"] == station.daemon_pid()
    await peer.leave()
