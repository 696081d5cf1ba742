"""What a user sets is in force, or is told not to be: in an open desk, in a running daemon, on the terminal."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from tests.e2e.wires import wire
from tests.station import SECONDS, Station

SLEEP = "import time; time.sleep(30)"


@pytest.fixture
def station(fresh_station: Station) -> Station:
    fresh_station.play([])
    return fresh_station


def settings_line(station: Station, *lines: str) -> None:
    folder = station.home / "config/analystd"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "settings.env").write_text("".join(f"{line}\n" for line in lines))


def test_a_limit_that_is_set_later_is_in_force_at_once(station: Station) -> None:
    station.run("exec", "x = 1")
    settings_line(station, "AGENT_EXEC_TIMEOUT_SECONDS=1")
    assert station.result("exec", SLEEP, check=4)["status"] == "limit"
    # Who is alone at the desk has it as they say, looser too.
    settings_line(station)
    assert station.run("exec", "import time; time.sleep(1.5); print(x)").stdout.strip() == "1"


def test_a_tool_that_is_switched_off_later_is_off_at_once(station: Station) -> None:
    station.run("exec", "x = 1")
    (station.project / ".env").write_text("AGENT_ENABLE_PYEXE=false\n")
    assert "AGENT_ENABLE_PYEXE" in station.run("exec", "x", check=2).stderr


async def test_in_company_only_what_tightens_is_taken_up_and_the_rest_is_told(station: Station) -> None:
    async with wire(station) as window:
        await window.initialize(station)
        station.environment |= {"AGENT_EXEC_TIMEOUT_SECONDS": "2", "AGENT_MAX_STEPS": "50"}
        said = station.run("exec", "1").stderr.splitlines()
        assert said[0] == "note: AGENT_EXEC_TIMEOUT_SECONDS=2.0 is in force from now on, for everybody at this desk"
        assert said[1].startswith("note: AGENT_MAX_STEPS=50 is not in force: the desk has 12 since it was opened at ")
        assert said[1].endswith("`analystd stop` ends it, and the next start takes yours.")
        assert (await window.command("execPython", 2, code=SLEEP))["result"]["status"] == "limit"


async def test_protected_names_are_refused_by_a_worker_that_runs_already(station: Station) -> None:
    (station.workspace / "core").mkdir()
    (station.workspace / "core/a.csv").write_text("a\n1\n")
    async with wire(station) as window:
        await window.initialize(station)
        assert "result" in await window.command("viewData", 2, path="core/a.csv", operation="shape")
        station.environment["AGENT_PROTECTED_DIRS"] = "boot,daemon,core"
        station.run("exec", "1")
        refused = (await window.command("viewData", 3, path="core/a.csv", operation="shape"))["error"]
        assert refused["message"] == "Access to 'core/' is blocked for safety"


def test_reading_that_is_taken_back_ends_with_the_session_and_is_told_until_then(station: Station) -> None:
    (station.home / "lake").mkdir()
    (station.home / "lake/a.txt").write_text("secret")
    lake = str(station.home / "lake/a.txt")
    settings_line(station, f"AGENT_READ_ONLY_PATHS={station.home / 'lake'}")
    station.run("exec", f"x = open({lake!r}).read()")
    settings_line(station)
    told = station.run("exec", "del x").stderr
    assert told.startswith("note: AGENT_READ_ONLY_PATHS=() is not in force: the desk has (")
    # Nothing is remembered any more: the desk is opened anew.
    done = station.run("exec", f"open({lake!r})", check=1)
    assert "note:" not in done.stderr


def test_bad_values_and_unknown_names_reach_the_terminal_once(station: Station) -> None:
    settings_line(station, "AGENT_MAX_STEPS=many", "AGENT_NO_SUCH=1")
    for command in (["exec", "1"], ["files"], ["runs"]):
        lines = station.run(*command).stderr.splitlines()
        assert [line for line in lines if "AGENT_MAX_STEPS='many'" in line and "is not a whole number" in line] == [
            lines[0]
        ]
        assert [line for line in lines if "AGENT_NO_SUCH" in line] == [lines[1]]
    shown = station.run("status").stdout
    assert "problem  AGENT_MAX_STEPS='many'" in shown
    doctor = station.run("doctor", check=1).stdout
    assert "!!  settings   2 problems" in doctor


def test_what_the_daemon_has_otherwise_is_told(station: Station) -> None:
    station.environment["AGENT_SANDBOX"] = "off"
    station.run("exec", "1")
    del station.environment["AGENT_SANDBOX"]
    told = station.run("exec", "1").stderr
    assert "AGENT_SANDBOX='auto' is not in force: the daemon has 'off' since its start at " in told
    station.environment["AGENT_IDLE_EXIT_SECONDS"] = "7"
    assert "AGENT_IDLE_EXIT_SECONDS=7.0 is not in force: the daemon has 1800.0" in station.run("exec", "1").stderr


def test_nothing_is_told_where_all_is_in_force(station: Station) -> None:
    settings_line(station, "AGENT_MAX_STEPS=3")
    for _ in range(2):
        assert station.run("exec", "1").stderr == ""


def test_trust_shows_what_it_puts_in_force(station: Station) -> None:
    (station.project / ".env").write_text(
        "AGENT_MODEL_URL=https://me:pass@host/v1?k=secret\nAGENT_MODEL_API_KEY=secret\nAGENT_SEED=3\n"
        "AGENT_LOG_DIR='/tmp/\x1b[2Jx'\nAGENT_MAX_STEPS=5\n"
    )
    said = station.run("trust", ".").stdout
    assert "    AGENT_MODEL_URL='https://(a name)@host/v1'" in said
    assert "    AGENT_MODEL_API_KEY=(a key)" in said
    assert "    AGENT_SEED=3" in said
    assert r"AGENT_LOG_DIR='/tmp/\x1b[2Jx'" in said
    assert "secret" not in said
    assert "pass@" not in said
    # It was in force already, by tightening.
    assert "AGENT_MAX_STEPS" not in said
    assert station.result("trust", ".", "--revoke")["trusted"] is False


def test_a_huge_file_in_a_project_is_told_and_costs_nothing(station: Station) -> None:
    (station.project / ".env").touch()
    os.truncate(station.project / ".env", 1_500_000_000)
    assert (
        station.run("exec", "1").stderr
        == f"note: {station.project / '.env'} cannot be read: it holds more than 64 KiB\n"
    )
    assert station.result("status")["memory_bytes"] < 200 << 20
    assert "holds more than 1024 KiB" in station.run("trust", ".", check=4).stderr


def in_folder(station: Station, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        station.command(*arguments),
        cwd=folder,
        env=station.environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def test_a_path_is_understood_as_the_shell_has_it(station: Station) -> None:
    (station.workspace / "sub").mkdir()
    (station.workspace / "sub/x.csv").write_text("deep\n1\n")
    (station.workspace / "top.csv").write_text("top\n1\n")
    (station.workspace / "sub/out").symlink_to("/etc/passwd")
    assert "deep" in in_folder(station, station.workspace / "sub", "view", "x.csv").stdout
    assert "top" in in_folder(station, station.workspace / "sub", "view", "../top.csv").stdout
    assert "top" in in_folder(station, station.workspace / "sub", "view", "top.csv").stdout
    assert "deep" in in_folder(station, station.project, "view", "workspace/sub/x.csv").stdout
    assert "deep" in in_folder(station, station.project, "view", "sub/x.csv").stdout
    assert "x.csv" in in_folder(station, station.workspace / "sub", "files", ".").stdout
    assert "top.csv" in in_folder(station, station.workspace / "sub", "files").stdout
    assert "top.csv" in in_folder(station, station.project, "files", "workspace/").stdout
    refused = in_folder(station, station.workspace / "sub", "view", "out")
    assert (refused.returncode, refused.stderr.splitlines()[0]) == (4, "WorkspaceError: Path is outside workspace")
    (station.project / "secret.csv").write_text("a\n1\n")
    refused = in_folder(station, station.project, "view", "secret.csv")
    assert refused.stderr.splitlines() == [
        "WorkspaceError: No such file: secret.csv",
        f"Looked in {station.workspace}; `analystd files` shows what is there.",
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to mount")
def test_a_home_that_cannot_be_written_is_told_in_a_sentence(station: Station, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", home], check=False, capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        station.environment["HOME"] = str(home)
        del station.environment["XDG_STATE_HOME"]
        del station.environment["XDG_CONFIG_HOME"]
        state = home / ".local/state/analystd"
        sentence = f"analystd cannot keep its state in {state} (Read-only file system: {home / '.local'})"
        advice = "Make room there, let yourself write there, or set XDG_STATE_HOME to another folder of your own."
        for command in (["exec", "1"], ["runs"], ["serve"]):
            assert station.run(*command, check=3 if command != ["serve"] else 1).stderr.splitlines() == [
                f"analystd: {sentence}",
                advice,
            ]
        said = station.run("doctor", check=1).stdout
        assert f"!!  state      {sentence}" in said
        assert f"To be done: state: {sentence}. {advice}" in said
    finally:
        subprocess.run(["umount", home], check=True)
