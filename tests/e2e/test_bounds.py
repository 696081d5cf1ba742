"""Whatever a cell shows, whoever asked is answered, every window goes on, and the daemon stays small."""

from __future__ import annotations

import psutil
import pytest
from tests.e2e.wires import wires
from tests.station import Station

from analystd.wire.names import EVENT_METHOD

HOSTILE = {
    "a MIME type of 50 MB": "display({'x' * 50_000_000: ''}, raw=True)",
    "displays nested 400 deep": (
        "deep = 1\nfor _ in range(400): deep = [deep]\ndisplay({'application/json': deep, 'text/plain': 'deep'}, raw=True)"
    ),
    "metadata nested 400 deep": (
        "deep = 1\nfor _ in range(400): deep = [deep]\ndisplay({'text/plain': 'deep'}, metadata={'a': deep}, raw=True)"
    ),
    "the name of an exception of 50 MB": "raise type('E' * 50_000_000, (Exception,), {})('x')",
    "the message of an exception of 50 MB": "raise ValueError('x' * 50_000_000)",
    "a hundred MIME types of 3 MB": "display({f'a/b{n}': 'x' * 3_000_000 for n in range(100)}, raw=True)",
    "eight large structures": "for _ in range(8): display({'application/json': [[]] * 100_000}, raw=True)",
    "half surrogate pairs": "print('\\udfff' * 1_000_000)\n'\\ud800' * 600_000",
    "numbers that JSON does not have": "display({'application/json': [float('nan')] * 100_000}, raw=True)",
    "a variable with a name of 50 MB": "globals()['x' * 50_000_000] = 1",
    "a million variables": "globals().update({f'v{n}': n for n in range(1_000_000)})",
}


@pytest.mark.parametrize("what", HOSTILE)
async def test_both_windows_go_on_whatever_a_cell_shows(station: Station, what: str) -> None:
    async with wires(station, 2) as (window, other):
        await window.initialize(station)
        await other.initialize(station)
        answer = await window.command(
            "execPython", 1, code=f"from IPython.display import display\n{HOSTILE[what]}", reset=True
        )
        assert "result" in answer, answer
        result = answer["result"]
        assert result["status"] == ("error" if "exception" in what else "ok"), result["error"]
        assert (await other.event("run_finished"))["run_id"] == result["run_id"]
        assert "run_finished" in [
            message["params"]["kind"] for message in window.heard if message.get("method") == EVENT_METHOD
        ]
        for wire in (window, other):
            assert "result" in await wire.command("variables", 2)
            story = (await wire.command("getRun", 3, run_id=result["run_id"]))["result"]
            assert story["events"][-1]["kind"] == "run_finished" or story["more"]
            assert (await wire.command("execPython", 4, code="1 + 1"))["result"]["result"] == "2"
        assert psutil.Process(station.daemon_pid()).memory_info().rss < 700e6
        # Neither window had to connect anew.
        clients = (await other.command("status", 5))["result"]["clients"]
        assert len(clients) == 2
