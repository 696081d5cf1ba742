"""`analystd uninstall`: what goes, what stays, and that it asks."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from tests.station import Station, is_running

FOLDERS = ("state", "cache", "config")


@pytest.fixture
def used(fresh_station: Station) -> Station:
    """A station that was worked on: a daemon, a journal, a log, settings, something fetched."""
    station = fresh_station
    station.environment["XDG_CACHE_HOME"] = str(station.home / "cache")
    for name, content in {
        "cache/analystd/models/m.gguf": "GGUF",
        "config/analystd/settings.env": "AGENT_SEED=7\n",
    }.items():
        path = station.home / name
        path.parent.mkdir(parents=True)
        path.write_text(content)
    (station.workspace / "mine.csv").write_text("a\n1\n")
    station.play([])
    station.run("exec", "x = 1")
    return station


def test_it_stops_the_daemon_and_leaves_what_is_the_users(used: Station) -> None:
    pid = used.daemon_pid()
    assert pid is not None
    said = used.run("uninstall", "--yes").stdout
    assert f"(pid {pid})" in said
    assert "`--purge` removes it" in said
    assert "pip uninstall analystd" in said
    assert not is_running(pid)
    assert sorted(path.name for path in used.state.iterdir()) == ["desks", "logs"]
    assert (used.home / "cache/analystd/models/m.gguf").exists()
    assert (used.home / "config/analystd/settings.env").exists()


def test_purged_nothing_is_left_but_the_workspace(used: Station) -> None:
    (used.state / "trusted.json").write_text("{}")
    said = used.run("uninstall", "--purge", "--yes").stdout
    for folder in FOLDERS:
        assert f"remove  {used.home / folder / 'analystd'}" in said
        assert _files(used.home / folder) == []
    assert [path.name for path in used.workspace.iterdir()] == ["mine.csv"]


def test_of_folders_that_links_lead_to_only_what_is_ours_goes(used: Station) -> None:
    used.run("stop")
    for folder in FOLDERS:
        link, disk = used.home / folder / "analystd", used.home / "disk" / folder
        disk.parent.mkdir(exist_ok=True)
        link.rename(disk)
        link.symlink_to(disk)
    (used.home / "disk/cache/thesis.txt").write_text("mine")
    (used.home / "disk/state/package.json").write_text("{}")
    used.run("exec", "1")
    said = used.run("uninstall", "--purge", "--yes").stdout
    assert f"left    {used.home / 'disk/cache/thesis.txt'}" in said
    assert f"analystd's files in {used.home / 'disk/cache'}" in said
    assert [path.name for path in _files(used.home / "disk") if path.is_file()] == ["thesis.txt", "package.json"]
    assert not list((used.home / "disk").rglob("*.lock"))
    for folder in FOLDERS:
        assert _files(used.home / folder) == []


def test_a_daemon_that_is_about_to_end_for_want_of_its_lock_is_waited_for(used: Station) -> None:
    pid = used.daemon_pid()
    assert pid is not None
    (lock,) = [path for path in used.state.glob("*.lock") if path.name != "start.lock"]
    lock.unlink()
    used.run("uninstall", "--purge", "--yes")
    assert not is_running(pid)
    assert not used.state.exists()


def test_what_a_killed_daemon_left_goes_too(used: Station) -> None:
    pid = used.daemon_pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    used.run("uninstall", "--yes")
    assert sorted(path.name for path in used.state.iterdir()) == ["desks", "logs"]


def test_a_log_folder_elsewhere_loses_the_log_and_nothing_else(used: Station) -> None:
    logs = used.home / "elsewhere"
    logs.mkdir()
    (logs / "other.log").touch()
    (logs / "agent.log").touch()
    (logs / "agent.log.1").touch()
    used.environment["AGENT_LOG_DIR"] = str(logs)
    used.run("uninstall", "--purge", "--yes")
    assert [path.name for path in logs.iterdir()] == ["other.log"]


def test_it_asks_and_takes_no_for_an_answer(used: Station) -> None:
    done = subprocess.run(
        ["script", "-qec", " ".join(used.command("uninstall", "--purge")), "/dev/null"],
        cwd=used.project,
        env=used.environment,
        input="n\n",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "Remove all this? [y/N]" in done.stdout
    assert "Nothing was removed." in done.stdout
    assert done.returncode == 1
    assert used.daemon_pid() is not None


def test_without_a_terminal_it_wants_to_be_told_yes(used: Station) -> None:
    assert "--yes" in used.run("uninstall", "--purge", check=2).stderr
    assert used.daemon_pid() is not None


def test_a_workspace_inside_of_what_would_go_is_never_touched(used: Station) -> None:
    inside = used.home / "cache/analystd/jail"
    inside.mkdir()
    # No desk is opened there any more; an earlier version did.
    note = used.state / "desks/0123456789abcdef/workspace"
    note.parent.mkdir(parents=True)
    note.write_text(f"{inside}\n")
    assert f"The workspace {inside} lies in" in used.run("uninstall", "--purge", "--yes", check=4).stderr
    assert inside.is_dir()


NESTING = """
import os
os.chdir(os.environ["IPYTHONDIR"])
for _ in range(3000):
    os.mkdir("deeper"), os.chdir("deeper")
"""


def test_folders_nested_in_the_runtime_folder_hinder_no_stop_no_start_and_no_removal(fresh_station: Station) -> None:
    station = fresh_station
    station.play([])
    station.run("exec", "-", stdin=NESTING)
    assert "has stopped" in station.run("stop").stdout
    assert not any((station.state / "run").iterdir())
    station.run("exec", "-", stdin=NESTING)
    pid = station.daemon_pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert station.run("exec", "6 * 7").stdout == "42\n"
    station.run("exec", "-", stdin=NESTING)
    station.run("uninstall", "--purge", "--yes")
    assert _files(station.home / "state") == []


def test_what_cannot_be_removed_is_named_and_the_rest_goes(used: Station) -> None:
    fixed = used.home / "cache/analystd/models/m.gguf"
    if subprocess.run(["chattr", "+i", fixed], capture_output=True, check=False).returncode:
        pytest.skip("files cannot be made immutable here")
    try:
        said = used.run("uninstall", "--purge", "--yes", check=1).stdout
        assert f"failed  {fixed}  (Operation not permitted)" in said
        assert _files(used.home / "state") == _files(used.home / "config") == []
    finally:
        subprocess.run(["chattr", "-i", fixed], check=True)


def test_with_nothing_there_it_says_so(fresh_station: Station) -> None:
    assert "There is nothing to remove." in fresh_station.run("uninstall", "--yes").stdout
    assert not (fresh_station.home / "state").exists() or _files(fresh_station.home / "state") == []


def _files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*")) if folder.exists() else []
