"""The command line, as a user types it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.station import Station, is_running

from analystd import __version__
from analystd.jail.self_test import TABLE

BARS = "timestamp,open,close\n2023-01-01,1.0,2.0\n2023-01-02,2.0,3.5\n"


@pytest.fixture(scope="module", autouse=True)
def bars(station: Station) -> None:
    (station.workspace / "bars.csv").write_text(BARS)


def test_a_variable_lives_on_for_the_next_terminal(station: Station) -> None:
    station.run("exec", "x = 41")
    assert station.run("exec", "print(x+1)").stdout == "42\n"
    assert station.run("exec", "--reset", "print('x' in dir())").stdout == "False\n"


def test_the_last_value_is_printed(station: Station) -> None:
    assert station.run("exec", "6 * 7").stdout == "42\n"


def test_code_comes_from_stdin_too(station: Station) -> None:
    assert station.run("exec", "-", stdin="for i in range(2):\n    print(i)\n").stdout == "0\n1\n"


def test_an_exception_gives_exit_status_1_and_its_traceback(station: Station) -> None:
    done = station.run("exec", "1 / 0", check=1)
    assert "ZeroDivisionError: division by zero" in done.stderr


def test_a_view_prints_the_shape(station: Station) -> None:
    assert (
        station.run("view", "bars.csv", "shape").stdout
        == "Shape: 2 rows × 3 columns\nColumns: timestamp, open, close\n"
    )


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("../daemon/x", "WorkspaceError: Access to 'daemon/' is blocked for safety"),
        ("../boot/setup.py", "WorkspaceError: Access to 'boot/' is blocked for safety"),
        ("../servr/api.py", "WorkspaceError: Path is outside workspace"),
        ("/etc/passwd", "WorkspaceError: Path is outside workspace"),
    ],
)
def test_a_path_outside_the_jail_gives_exit_status_4(station: Station, path: str, words: str) -> None:
    assert station.run("view", path, "shape", check=4).stderr.startswith(words)


def test_a_refusal_is_json_when_asked_for(station: Station) -> None:
    error = station.result("view", "../boot/x", "shape", check=4)["error"]
    assert (error["kind"], error["code"]) == ("workspace", 4001)


def test_files_are_listed(station: Station) -> None:
    (station.workspace / "data").mkdir(exist_ok=True)
    listed = station.run("files").stdout
    assert "bars.csv" in listed
    assert "data/" in listed


def test_a_run_is_found_by_its_id_in_runs_show_logs_and_the_log_file(station: Station) -> None:
    run_id = station.result("exec", "print('found me')")["run_id"]
    assert run_id in station.run("runs").stdout
    assert "found me" in station.run("show", run_id).stdout
    assert run_id in station.run("logs", run_id).stdout
    assert run_id in station.log.read_text()


def test_an_unknown_run_is_a_usage_error(station: Station) -> None:
    assert "There is no run 'run_0_00000000'" in station.run("show", "run_0_00000000", check=2).stderr


def test_status_tells_of_daemon_model_sandbox_and_desk(station: Station) -> None:
    station.run("exec", "pass")
    about = station.result("status")
    assert about["protocol"] == 1
    assert about["pid"] == station.daemon_pid()
    assert about["sandbox"]["level"] in ("full", "partial", "none")
    assert [desk["workspace"] for desk in about["desks"]] == [str(station.workspace)]
    assert set(about["desks"][0]["resources"]) == {
        "workspace_size_gb",
        "workspace_limit_gb",
        "ram_used_percent",
        "ram_free_percent",
    }


def test_without_a_daemon_status_says_so_with_exit_status_3(fresh_station: Station) -> None:
    assert "No analystd daemon is running" in fresh_station.run("status", check=3).stderr


def test_unknown_words_are_a_usage_error(station: Station) -> None:
    assert station.run("frobnicate", check=2).stderr.startswith("usage: analystd")


@pytest.mark.parametrize(
    "command",
    [
        "run",
        "exec",
        "view",
        "files",
        "runs",
        "show",
        "logs",
        "status",
        "stop",
        "doctor",
        "model",
        "demo",
        "stdio",
        "serve",
        "uninstall",
    ],
)
def test_every_command_helps(station: Station, command: str) -> None:
    assert station.run(command, "--help").stdout.startswith(f"usage: analystd {command}")


def test_doctor_lists_each_wall_and_whether_it_held(station: Station) -> None:
    told = json.loads(station.run("doctor", "--json", check=None).stdout)
    assert {wall["name"] for wall in told["walls"]} == set(TABLE)
    assert [wall["breach"] for wall in told["walls"] if wall["state"] == "gap"] == told["gaps"]
    lines = station.run("doctor", check=None).stdout.splitlines()
    assert any(line.split()[:1] == ["held"] and "reading files outside" in line for line in lines)


def test_stop_ends_the_daemon_and_leaves_nothing(fresh_station: Station) -> None:
    station = fresh_station
    station.run("exec", "x = 1")
    pid = station.daemon_pid()
    assert pid is not None
    station.run("stop")
    assert not is_running(pid)
    assert sorted(path.suffix for path in station.state.iterdir() if path.is_file()) == [".log"]
    assert list((station.state / "run").iterdir()) == []


def test_a_daemon_that_was_killed_is_replaced_and_its_runs_are_closed(fresh_station: Station) -> None:
    station = fresh_station
    station.run("exec", "x = 1")
    pid = station.daemon_pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert "NameError" in station.run("exec", "x", check=1).stderr
    assert station.daemon_pid() != pid
    assert [run["status"] for run in station.result("runs")["runs"]] == ["error", "ok"]


def test_a_tool_that_is_switched_off_is_no_command(fresh_station: Station) -> None:
    (fresh_station.project / ".env").write_text("AGENT_ENABLE_PYEXE=false\n")
    assert "AGENT_ENABLE_PYEXE=false is in force" in fresh_station.run("exec", "1", check=2).stderr


def test_the_workspace_of_the_nearest_folder_upward_is_used(station: Station) -> None:
    deep = station.project / "src" / "deep"
    deep.mkdir(parents=True, exist_ok=True)
    environment = {**station.environment, "PWD": str(deep)}
    done = subprocess.run(
        station.command("view", "bars.csv", "shape", "--json"),
        cwd=deep,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["num_rows"] == 2


def test_nothing_in_the_project_is_changed_but_the_workspace(station: Station) -> None:
    assert {path.name for path in Path(station.project).iterdir()} <= {"workspace", "src"}


def test_an_interpreter_of_the_users_own_works_inside_with_its_editable_installs(fresh_station: Station) -> None:
    fresh_station.environment["AGENT_PYTHON"] = sys.executable
    fresh_station.play([])
    done = fresh_station.run("exec", "import sys, analystd; print(sys.prefix, analystd.__version__)")
    assert done.stdout == f"{sys.prefix} {__version__}\n"


def in_background(station: Station, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        station.command(*arguments), cwd=station.project, env=station.environment, stdout=subprocess.PIPE, text=True
    )


def until_printed(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdout is not None
    while (printed := process.stdout.readline()) != line:
        assert printed, "it ended without printing that"


def test_a_run_is_watched_from_another_terminal_and_cancelled_from_a_third(station: Station) -> None:
    code = "import time\nprint('first', flush=True)\nwhile True: time.sleep(0.05)"
    with in_background(station, "exec", "--session", "watched", code) as asking:
        until_printed(asking, "first\n")
        run_id = station.result("runs")["runs"][0]["run_id"]
        with in_background(station, "show", "--follow", run_id) as watching:
            until_printed(watching, "  first\n")
            assert station.run("cancel", run_id).stdout == f"{run_id}: interrupted\n"
            assert watching.communicate(timeout=30)[0].splitlines()[-1].startswith("interrupted by client-")
        assert (watching.returncode, asking.wait(30)) == (0, 1)
    assert station.result("cancel", run_id, check=1) == {"run_id": run_id, "status": "interrupted"}


def test_watching_a_run_that_has_ended_shows_all_of_it(station: Station) -> None:
    run_id = station.result("exec", "print('long gone')")["run_id"]
    assert station.run("show", run_id, "--follow").stdout == station.run("show", run_id).stdout
    assert station.result("show", run_id, "--follow")["run"]["status"] == "ok"
