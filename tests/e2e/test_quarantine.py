"""What tools outside trust, through the whole stack: told, listed, put back; and a user's own work is left alone."""

from __future__ import annotations

import subprocess
import time

from tests.station import Station

CALM_SECONDS = 6.0
PLANT = (
    "import os; os.makedirs('sub/x'); open('sub/x/tasks.json', 'w').write('{}'); "
    "os.rename('sub/x', 'sub/.vscode'); print('done')"
)
TAMPER = "try:\n    open('.git/config', 'a')\nexcept OSError as exc:\n    print(exc.strerror)"


def test_the_projects_own_repository_cannot_be_changed_and_new_settings_are_moved_aside(fresh_station: Station) -> None:
    station = fresh_station
    station.play([])
    git_init(station)
    assert station.run("exec", TAMPER).stdout == "Read-only file system\n"
    result = station.result("exec", PLANT)
    assert (result["status"], result["stdout"]) == ("ok", "done\n")
    assert "Moved aside: sub/.vscode (editors)" in result["stderr"]
    assert list((station.workspace / "sub").iterdir()) == []
    events = station.result("show", result["run_id"])["events"]
    (told,) = [event for event in events if event["kind"] == "quarantined"]
    assert told["entry"]["moved"][0]["path"] == "sub/.vscode"
    assert told["entry"]["runs"] == [result["run_id"]]
    assert f"! {told['text']}" in station.run("show", result["run_id"]).stdout
    assert "moved aside" in station.run("status").stdout


def test_what_was_moved_aside_is_listed_put_back_and_discarded(fresh_station: Station) -> None:
    station = fresh_station
    station.play([])
    station.run("exec", PLANT)
    ((entry_id, path),) = [
        (entry["id"], entry["moved"][0]["path"]) for entry in station.result("quarantine")["entries"]
    ]
    assert path == "sub/.vscode"
    assert entry_id in station.run("quarantine", "list").stdout
    asked = station.run("quarantine", "restore", entry_id, check=1)
    assert "sub/.vscode/tasks.json" in asked.stdout
    assert list((station.workspace / "sub").iterdir()) == []
    station.run("quarantine", "restore", entry_id, "--yes")
    assert (station.workspace / "sub/.vscode/tasks.json").read_text() == "{}"
    assert station.result("quarantine")["entries"] == []
    assert "Moved aside" not in station.run("exec", "1").stderr
    station.run("exec", "open('.envrc', 'w')")
    (entry,) = station.result("quarantine", "list")["entries"]
    station.run("quarantine", "discard", entry["id"])
    assert station.run("quarantine").stdout == "Nothing is in quarantine.\n"
    assert station.run("quarantine", "restore", "q_0_00000000", check=2).stderr.startswith(
        "analystd: There is no quarantine entry 'q_0_00000000'"
    )


def test_what_the_user_makes_beside_an_idle_session_is_kept_and_sealed_also_in_the_spare(
    fresh_station: Station,
) -> None:
    station = fresh_station
    station.play([])
    station.run("exec", "1")
    time.sleep(CALM_SECONDS)
    git_init(station)
    assert station.run("exec", TAMPER).stdout == "Read-only file system\n"
    time.sleep(CALM_SECONDS)
    (station.workspace / ".envrc").write_text("mine")
    done = station.run("exec", "--reset", TAMPER.replace(".git/config", ".envrc"))
    assert (done.stdout, done.stderr) == ("Read-only file system\n", "")
    assert (station.workspace / ".envrc").read_text() == "mine"
    assert station.result("quarantine")["entries"] == []


def test_names_are_added_by_settings_and_the_file_tool_refuses_all(fresh_station: Station) -> None:
    station = fresh_station
    station.play([])
    (station.project / ".env").write_text("AGENT_SEALED_NAMES=Justfile,*.service\n")
    assert "Moved aside: justfile" in station.run("exec", "open('justfile', 'w'); open('a.csv', 'w')").stderr
    for path in (".git/hooks/pre-commit", "sub/my.service"):
        assert "may not be written from here" in write(station, path)


def write(station: Station, path: str) -> str:
    """How the file tool refuses to write a path."""
    code = (
        "import sys, analystd, analystd.wire.errors\n"
        "with analystd.connect_sync() as desk:\n"
        "    try: desk.write_file(sys.argv[1], 'x')\n"
        "    except analystd.errors.WorkspaceError as exc: print(exc.message)\n"
    )
    command = [station.command()[0], "-c", code, path]
    done = subprocess.run(command, cwd=station.project, env=station.environment, capture_output=True, text=True)
    return done.stdout + done.stderr


def git_init(station: Station) -> None:
    subprocess.run(["git", "init", "--quiet", str(station.workspace)], check=True)
