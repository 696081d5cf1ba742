"""The circuit breaker through the whole stack."""

from __future__ import annotations

import json
import time
from typing import Any

from tests.station import Station


def events(station: Station) -> list[dict[str, Any]]:
    """All that the journal of the station's only desk tells."""
    lines = [
        line for path in sorted(station.state.glob("desks/*/journal/*.jsonl")) for line in path.read_text().splitlines()
    ]
    return [json.loads(line) for line in lines]


def test_in_a_workspace_that_is_too_full_code_may_only_make_room_and_is_told_so(fresh_station: Station) -> None:
    station = fresh_station
    station.environment["AGENT_WORKSPACE_MAX_GB"] = "0.05"
    station.play([])
    (station.workspace / "big.bin").write_bytes(b"x" * 60_000_000)
    code = "import time\nwith open('more.bin', 'wb') as f:\n    while True: f.write(b'x' * 1_000_000); f.flush(); time.sleep(0.02)"
    result = station.result("exec", code, check=4)
    assert result["status"] == "limit"
    assert result["stderr"].startswith("[The workspace holds 0.055")
    assert "its limit is 0.05 GB" in result["stderr"]
    assert "AGENT_WORKSPACE_MAX_GB" in result["stderr"]
    assert (station.workspace / "more.bin").stat().st_size < 60_000_000
    (station.workspace / "more.bin").unlink()
    done = station.run("exec", "import os, time; time.sleep(0.5); os.remove('big.bin')")
    assert "This code may run to free resources" in done.stderr
    done = station.run("exec", "'room again'")
    assert (done.stdout, done.stderr) == ("'room again'\n", "")


def test_after_a_limit_of_memory_a_session_can_be_reset_and_its_variables_deleted(fresh_station: Station) -> None:
    station = fresh_station
    station.environment["AGENT_MIN_FREE_RAM_PERCENT"] = "0"
    station.play([])
    station.run("exec", "kept = 1; large = b'x' * 50_000_000")
    station.environment["AGENT_MIN_FREE_RAM_PERCENT"] = "100"
    station.stop()
    # A daemon for which there is never enough memory: nothing that could be freed is in it yet.
    error = station.result("exec", "1", check=4)["error"]
    assert (error["kind"], error["code"]) == ("resource_limit", 4002)
    assert "at least 100% must be" in error["message"]
    assert station.run("exec", "--reset", "kept = 2; print('fresh')").stdout == "fresh\n"
    done = station.run("exec", "import time; time.sleep(0.5); del kept; print('deleted')")
    assert done.stdout == "deleted\n"
    assert "Only " in done.stderr
    assert station.run("reset").returncode == 0


def test_what_is_left_running_fills_no_disk_and_the_next_run_tells(fresh_station: Station) -> None:
    station = fresh_station
    station.environment["AGENT_WORKSPACE_MAX_GB"] = "0.05"
    station.play([])
    fill = "import time\nf = open('fill', 'wb')\nwhile True: f.write(bytes(1_000_000)); f.flush(); time.sleep(0.01)"
    station.run("exec", f"kept = 1\nimport subprocess, sys; subprocess.Popen([sys.executable, '-c', {fill!r}]);")
    deadline = time.monotonic() + 30
    while (
        not (told := [event for event in events(station) if event["kind"] == "limit"]) and time.monotonic() < deadline
    ):
        time.sleep(0.1)
    assert [(event["run_id"], event["session"]) for event in told] == [(None, "main")]
    assert told[0]["text"].endswith("processes left by earlier code were killed; the variables are kept.")
    size = (station.workspace / "fill").stat().st_size
    done = station.run("exec", "import os; os.remove('fill'); print(kept)")
    assert (done.stdout, f"[Since the last run: {told[0]['text']}]" in done.stderr) == ("1\n", True)
    assert size < 500_000_000


def test_code_that_fills_the_workspace_is_stopped_and_the_session_goes_on(fresh_station: Station) -> None:
    station = fresh_station
    station.environment["AGENT_WORKSPACE_MAX_GB"] = "0.05"
    station.play([])
    code = "kept = 1\nimport time\nwith open('fill', 'wb') as f:\n    while True:\n        f.write(b'x' * 1_000_000); time.sleep(0.01)"
    result = station.result("exec", code, check=4)
    assert result["status"] == "limit"
    assert "limit is 0.05 GB" in result["error"]["message"]
    events = station.result("show", result["run_id"])["events"]
    assert "limit" in [event["kind"] for event in events]
    (station.workspace / "fill").unlink()
    assert station.run("exec", "1 + 1").stdout == "2\n"


def test_a_desk_that_cannot_be_kept_is_refused_and_says_where(fresh_station: Station) -> None:
    station = fresh_station
    station.play([])
    station.state.mkdir(parents=True, mode=0o700)
    (station.state / "desks").write_text("no folder")
    error = station.result("exec", "1", check=4)["error"]
    assert (error["kind"], error["code"]) == ("workspace", 4001)
    assert error["message"] == f"The desk of {station.workspace} cannot be kept in {station.state}: Not a directory"
    (station.state / "desks").unlink()
    assert station.run("exec", "1 + 1").stdout == "2\n"
