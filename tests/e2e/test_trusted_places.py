"""What the daemon trusts is out of the reach of what runs in a workspace, seen through the whole stack."""

from __future__ import annotations

import os
import subprocess
import sysconfig
import venv
from pathlib import Path

import pytest
from tests.station import SECONDS, Station

import analystd
from analystd.config.folders import state_folder, user_settings_file
from analystd.config.settings import Settings
from analystd.jail.sandbox import Sandbox, measure_level
from analystd.jail.trusted_places import Seals, client_places
from analystd.server.ground import Ground, exposed_notices
from analystd.wire.errors import WorkspaceError


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
    assert f"lies in the workspace {station.workspace} of an open desk, whose code could change it" in refused


def test_read_only_paths_in_the_workspace_cannot_be_written(station: Station) -> None:
    (station.workspace / "raw").mkdir()
    (station.workspace / "raw/a.csv").write_text("a\n1\n")
    station.environment["AGENT_READ_ONLY_PATHS"] = str(station.workspace / "raw")
    assert station.run("exec", "print(open('raw/a.csv').read())").stdout == "a\n1\n\n"
    assert "raw/a.csv" in station.run("exec", "open('raw/a.csv', 'w')", check=1).stderr
    assert (station.workspace / "raw/a.csv").read_text() == "a\n1\n"


def as_client_in(station: Station, environment: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `analystd` as it is installed in another environment."""
    command = [str(environment / "bin/python"), "-m", "analystd", *arguments]
    return subprocess.run(
        command,
        cwd=station.project,
        env=station.environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def client_environment(folder: Path) -> Path:
    """An environment with analystd, made as a project has one."""
    venv.create(folder, symlinks=True)
    site = next(folder.glob("lib/python*/site-packages"))
    paths = [sysconfig.get_paths()["purelib"], str(Path(analystd.__file__).parent.parent)]
    (site / "ours.pth").write_text("\n".join(paths) + "\n")
    return site


def test_the_environment_of_a_client_is_kept_from_the_code_at_its_desk(station: Station) -> None:
    station.run("stop")
    station.run("exec", "1", "--workspace", str(station.home / "first"))
    site = client_environment(station.workspace / ".venv")
    plant = f"open('{site.relative_to(station.workspace)}/planted.pth', 'w')"
    done = as_client_in(station, station.workspace / ".venv", "exec", plant)
    assert done.returncode == 1, done.stdout
    assert not (site / "planted.pth").exists()


def test_an_environment_that_is_sealed_already_is_no_reason_to_say_anything(station: Station) -> None:
    client_environment(station.workspace / ".venv")
    station.run("exec", "x = 1")
    done = as_client_in(station, station.workspace / ".venv", "exec", "print(x)")
    assert (done.stdout, done.stderr) == ("1\n", "")


async def test_a_client_is_told_of_an_environment_that_an_open_desk_could_change(tmp_path: Path) -> None:
    root, sandbox = Path(os.path.realpath(tmp_path)), Sandbox("full", "")
    client_environment(root / ".venv")
    places = client_places({"program": str(root / ".venv/bin/python"), "prefix": str(root / ".venv")})
    (told,) = exposed_notices(root, Seals(), places, sandbox)
    assert told.startswith(
        f"A client's interpreter ({root / '.venv/bin/python'}) lies in the workspace {root} of an open"
    )
    assert exposed_notices(root, Seals((root / ".venv",)), places, sandbox) == []
    assert exposed_notices(tmp_path / "other", Seals(), places, sandbox) == []
    for nonsense in ({"program": 7}, {"program": "relative"}, {"prefix": "/x\0"}, {}):
        assert client_places(nonsense) == []


async def test_what_analystd_keeps_is_not_read_where_it_cannot_be_hidden(tmp_path: Path) -> None:
    sandbox = await measure_level("partial")
    if sandbox.level != "partial":
        pytest.skip(sandbox.reason)
    (tmp_path / "workspace").mkdir()
    ground = Ground(Settings(), sandbox, Path("/run/analystd"))
    for path in (state_folder().parent, state_folder(), state_folder() / "desks", user_settings_file().parent):
        settings = Settings(read_only_paths=(str(path),))
        with pytest.raises(WorkspaceError, match="analystd's own state or settings would be read with it"):
            ground.seals(tmp_path / "workspace", settings, settings, {})
