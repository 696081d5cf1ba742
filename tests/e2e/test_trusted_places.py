"""What the daemon trusts is out of the reach of what runs in a workspace, seen through the whole stack."""

from __future__ import annotations

import sysconfig
import venv
from pathlib import Path

import pytest
from tests.station import Station

from analystd.jail.sandbox import measure_level


@pytest.fixture
async def station(fresh_station: Station) -> Station:
    if (await measure_level("full")).level != "full":
        pytest.skip("nothing can be sealed here")
    fresh_station.play([])
    return fresh_station


def with_environment_in_workspace(station: Station) -> Path:
    """Have sessions run in a virtual environment that lies in the workspace; gives its packages."""
    venv.create(station.workspace / "tools/.venv", symlinks=True)
    site = next((station.workspace / "tools/.venv").glob("lib/python*/site-packages"))
    (site / "ours.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    station.environment["AGENT_PYTHON"] = str(station.workspace / "tools/.venv/bin/python")
    return site


def test_code_cannot_plant_what_an_interpreter_runs_at_its_next_start(station: Station) -> None:
    site = with_environment_in_workspace(station)
    relative = site.relative_to(station.workspace)
    code = f"""
import os, sys
print(sys.prefix)
for attempt in (
    lambda: open('{relative}/planted.pth', 'w'),
    lambda: os.rename('tools', 'other'),
    lambda: os.rename('tools/.venv', 'tools/other'),
):
    try:
        attempt()
        print('done')
    except OSError as exc:
        print('refused')
"""
    said = station.run("exec", code).stdout.splitlines()
    assert said == [str(station.workspace / "tools/.venv"), "refused", "refused", "refused"]
    assert "read-only" in station.run("exec", f"open('{relative}/planted.pth', 'w')", check=1).stderr.lower()
    assert sorted(path.name for path in site.glob("*.pth")) == ["ours.pth"]
    assert (station.workspace / "tools/.venv").is_dir()


def test_what_lies_in_an_environment_in_the_workspace_runs_only_behind_the_walls(station: Station) -> None:
    site, mark = with_environment_in_workspace(station), station.home / "mark"
    (site / "planted.pth").write_text(f"import os; open({str(mark)!r}, 'w').close()\n")
    station.run("exec", "1")
    station.run("doctor", check=None)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("variable", "below"),
    [("XDG_STATE_HOME", "s"), ("XDG_CONFIG_HOME", "c"), ("AGENT_LOG_DIR", "logs"), ("XDG_STATE_HOME", "")],
)
def test_a_workspace_around_what_analystd_keeps_is_refused(station: Station, variable: str, below: str) -> None:
    station.environment[variable] = str(station.workspace / below)
    try:
        refused = station.run("exec", "1", check=4).stderr
        assert f"WorkspaceError: The workspace cannot be {station.workspace}" in refused
        assert variable in refused
    finally:
        station.run("stop", "--now")


def test_an_interpreter_in_another_desks_workspace_is_refused(station: Station, tmp_path: Path) -> None:
    station.run("exec", "1")
    venv.create(station.workspace / ".venv", symlinks=True)
    station.environment["AGENT_PYTHON"] = str(station.workspace / ".venv/bin/python")
    (tmp_path / "second").mkdir()
    refused = station.run("exec", "1", "--workspace", str(tmp_path / "second"), check=4).stderr
    assert f"lies in the workspace {station.workspace} of another desk, whose code could change it" in refused


def test_read_only_paths_in_the_workspace_cannot_be_written(station: Station) -> None:
    (station.workspace / "raw").mkdir()
    (station.workspace / "raw/a.csv").write_text("a\n1\n")
    station.environment["AGENT_READ_ONLY_PATHS"] = str(station.workspace / "raw")
    assert station.run("exec", "print(open('raw/a.csv').read())").stdout == "a\n1\n\n"
    assert "raw/a.csv" in station.run("exec", "open('raw/a.csv', 'w')", check=1).stderr
    assert (station.workspace / "raw/a.csv").read_text() == "a\n1\n"
