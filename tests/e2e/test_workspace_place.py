"""Editor, command line and script mean the same workspace, wherever they are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.wires import Wire, wire
from tests.station import SECONDS, Station

SCRIPT = "import analystd\nwith analystd.connect_sync() as desk: print(desk.about.workspace)"
WHERE = "import os; print(os.getcwd())"


@pytest.fixture
def station(fresh_station: Station) -> Station:
    fresh_station.play([])
    (fresh_station.project / "notebooks").mkdir()
    return fresh_station


def at(station: Station, folder: Path, *command: str) -> str:
    """What a program prints that is started in a folder."""
    done = subprocess.run(
        command, cwd=folder, env=station.environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


async def opened(editor: Wire, root: Path | None, **options: Any) -> dict[str, Any]:
    """What the daemon tells a window with that folder."""
    params = {
        "processId": None,
        "rootUri": None if root is None else root.as_uri(),
        "capabilities": {},
        "initializationOptions": options or None,
    }
    answer = await editor.request("initialize", params)
    await editor.send("initialized", {})
    about: dict[str, Any] = answer["result"]["capabilities"]["experimental"]["analystd"]
    return about


async def places_at(station: Station, folder: Path) -> set[str]:
    """The workspace that each of the three means in a folder."""
    async with wire(station) as editor:
        places = {(await opened(editor, folder))["workspace"]}
    places.add(at(station, folder, *station.command("exec", WHERE)))
    places.add(at(station, folder, sys.executable, "-c", SCRIPT))
    return places


@pytest.mark.parametrize("folder", [".", "notebooks", "workspace"])
async def test_in_every_folder_of_a_project_all_mean_the_same(station: Station, folder: str) -> None:
    assert await places_at(station, station.project / folder) == {str(station.workspace)}
    assert not (station.workspace / "workspace").exists()
    assert not (station.project / "notebooks/workspace").exists()


async def test_the_environment_and_the_settings_file_say_it_to_all(station: Station, tmp_path: Path) -> None:
    (station.home / "config/analystd").mkdir(parents=True)
    (station.home / "config/analystd/settings.env").write_text(f"AGENT_WORKSPACE={tmp_path / 'data'}\n")
    assert await places_at(station, station.project) == {str(tmp_path / "data")}
    assert f"{tmp_path / 'data'} (" in at(station, station.project, *station.command("doctor"))
    station.environment["AGENT_WORKSPACE"] = str(tmp_path / "other")
    assert await places_at(station, station.project) == {str(tmp_path / "other")}


async def test_a_trusted_project_says_it_to_all(station: Station) -> None:
    (station.project / ".env").write_text("AGENT_WORKSPACE=data\n")
    assert await places_at(station, station.project) == {str(station.workspace)}
    told = station.run("trust", ".").stdout
    assert f"AGENT_WORKSPACE='{station.project / 'data'}'" in told
    assert await places_at(station, station.project / "notebooks") == {str(station.project / "data")}


async def test_an_editors_settings_say_it_too(station: Station, tmp_path: Path) -> None:
    async with wire(station) as editor:
        about = await opened(editor, station.project, settings={"AGENT_WORKSPACE": str(tmp_path / "set")})
        assert about["workspace"] == str(tmp_path / "set")


async def test_an_editor_without_a_folder_takes_the_environments_workspace(station: Station, tmp_path: Path) -> None:
    station.environment["AGENT_WORKSPACE"] = str(tmp_path / "jail")
    async with wire(station) as editor:
        assert (await opened(editor, None))["workspace"] == str(tmp_path / "jail")


async def test_an_editor_without_a_folder_takes_that_of_its_file(station: Station) -> None:
    file = station.project / "notebooks/a.py"
    file.write_text("print(1)\n")
    (station.project / "notebooks/a.csv").write_text("a\n1\n")
    async with wire(station) as editor:
        assert "workspace" not in await opened(editor, None)
        error = (await editor.command("execPython", 2, code="1"))["error"]
        assert (error["code"], error["message"]) == (4001, "No folder is open")
        document = {"uri": file.as_uri(), "languageId": "python", "version": 1, "text": "print(1)\n"}
        await editor.send("textDocument/didOpen", {"textDocument": document})
        result = (await editor.command("execPython", 3, code=WHERE))["result"]
        assert result["stdout"].strip() == str(station.workspace)
        said = [each["params"]["message"] for each in editor.heard if each.get("method") == "window/showMessage"]
        assert said == [f"analystd works in {station.workspace}"]
        assert [each for each in editor.heard if each.get("method") == "analystd/event"]
        # A file beside it may be viewed, as in a window with that folder.
        table = (station.project / "notebooks/a.csv").as_uri()
        assert (await editor.command("viewData", 4, uri=table, operation="shape"))["result"]["num_rows"] == 1


async def test_the_file_that_a_command_names_tells_it_as_well(station: Station) -> None:
    async with wire(station) as editor:
        await opened(editor, None)
        uri = (station.project / "notebooks/b.py").as_uri()
        assert (await editor.command("status", 2))["result"]["desks"] == []
        result = (await editor.command("execPython", 3, code=WHERE, uri=uri))["result"]
        assert result["stdout"].strip() == str(station.workspace)


async def test_what_is_open_elsewhere_is_no_folder_here(station: Station) -> None:
    async with wire(station) as editor:
        params: dict[str, Any] = {"processId": None, "rootUri": "vscode-remote://ssh/x", "capabilities": {}}
        assert (await editor.request("initialize", params))["error"]["code"] == 4001


def test_a_magic_place_is_refused_in_a_sentence(station: Station) -> None:
    for place in ("/proc/self", "/sys", "/dev"):
        refused = station.run("exec", "1", "--workspace", place, check=4).stderr
        assert refused.startswith("WorkspaceError: The workspace cannot be ")
        assert os.linesep.join(refused.splitlines()[1:]).startswith("Choose a folder of its own")
