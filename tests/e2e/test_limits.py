"""The circuit breaker through the whole stack."""

from __future__ import annotations

from tests.station import Station


def test_a_workspace_that_is_too_full_refuses_new_work_and_says_what_to_do(fresh_station: Station) -> None:
    station = fresh_station
    station.environment["AGENT_WORKSPACE_MAX_GB"] = "0.01"
    station.play([])
    (station.workspace / "big.bin").write_bytes(b"x" * 20_000_000)
    error = station.result("exec", "1", check=4)["error"]
    assert (error["kind"], error["code"]) == ("resource_limit", 4002)
    assert "its limit is 0.01 GB" in error["message"]
    assert "AGENT_WORKSPACE_MAX_GB" in error["hint"]
    (station.workspace / "big.bin").unlink()
    assert station.run("exec", "'room again'").stdout == "'room again'\n"


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
