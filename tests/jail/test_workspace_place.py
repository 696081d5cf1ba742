"""Which folder is the workspace, wherever one is: in an editor, at a prompt, in a script."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from analystd.config import trust
from analystd.jail.workspace_place import find_workspace, workspace_place
from analystd.wire.errors import WorkspaceError


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A current folder without settings of the user's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    yield Path(os.path.realpath(tmp_path))


def test_the_nearest_workspace_upward_is_found(elsewhere: Path) -> None:
    (elsewhere / "project/workspace").mkdir(parents=True)
    (elsewhere / "project/src/deep").mkdir(parents=True)
    assert find_workspace(elsewhere / "project/src/deep", None) == elsewhere / "project/workspace"


def test_a_workspace_is_made_in_the_current_folder(elsewhere: Path) -> None:
    (elsewhere / "lonely").mkdir()
    assert find_workspace(elsewhere / "lonely", None).is_dir()


def test_an_explicit_workspace_is_relative_to_the_start_and_made(elsewhere: Path) -> None:
    assert find_workspace(elsewhere, "jail") == elsewhere / "jail"
    assert (elsewhere / "jail").is_dir()


@pytest.mark.parametrize("path", ["/", "~"])
def test_a_workspace_around_the_home_is_refused(elsewhere: Path, path: str) -> None:
    with pytest.raises(WorkspaceError, match="it contains your home folder"):
        find_workspace(elsewhere, path)


def test_a_workspace_that_cannot_be_made_is_told(elsewhere: Path) -> None:
    (elsewhere / "file").touch()
    with pytest.raises(WorkspaceError, match="cannot be created"):
        find_workspace(elsewhere, "file/workspace")


@pytest.fixture
def project(elsewhere: Path) -> Path:
    for folder in ("project/workspace/deep", "project/notebooks"):
        (elsewhere / folder).mkdir(parents=True)
    return elsewhere / "project"


@pytest.mark.parametrize("start", [".", "notebooks", "workspace", "workspace/deep"])
def test_all_folders_of_a_project_mean_the_same_workspace(project: Path, start: str) -> None:
    assert workspace_place(project / start) == project / "workspace"


def test_a_workspace_in_the_workspace_is_not_meant(project: Path) -> None:
    (project / "workspace/workspace").mkdir()
    for start in ("workspace", "workspace/deep"):
        assert workspace_place(project / start) == project / "workspace"


def test_a_folder_reached_by_a_link_gives_the_same_workspace(project: Path, elsewhere: Path) -> None:
    (elsewhere / "link").symlink_to(project / "notebooks")
    assert workspace_place(elsewhere / "link") == project / "workspace"


def settings_line(elsewhere: Path, line: str) -> None:
    (elsewhere / "config/analystd").mkdir(parents=True)
    (elsewhere / "config/analystd/settings.env").write_text(line + "\n")


def test_the_users_settings_name_a_workspace(project: Path, elsewhere: Path) -> None:
    settings_line(elsewhere, f"AGENT_WORKSPACE={elsewhere / 'data'}")
    assert workspace_place(project, None, {}) == elsewhere / "data"
    assert workspace_place(project, None, {"AGENT_WORKSPACE": "other"}) == project / "other"
    assert workspace_place(project, "named", {"AGENT_WORKSPACE": "other"}) == project / "named"


def test_a_projects_file_names_its_workspace_once_it_is_trusted(project: Path, elsewhere: Path) -> None:
    settings_line(elsewhere, f"AGENT_WORKSPACE={elsewhere / 'data'}")
    (project / ".env").write_text("AGENT_WORKSPACE=data\n")
    assert workspace_place(project / "notebooks", None, {}) == elsewhere / "data"
    trust.trust(project / ".env", (project / ".env").read_bytes())
    assert workspace_place(project / "notebooks", None, {}) == project / "data"


@pytest.mark.parametrize("value", ["/etc", "..", ".", "a/b", "~"])
def test_a_projects_file_can_only_name_a_folder_in_the_project(project: Path, value: str) -> None:
    (project / ".env").write_text(f"AGENT_WORKSPACE={value}\n")
    trust.trust(project / ".env", (project / ".env").read_bytes())
    expected = project / ("~" if value == "~" else "workspace")
    assert workspace_place(project, None, {}) == expected


@pytest.mark.parametrize(
    "path", ["/proc/self", "/proc/self/fd", "/sys/kernel", "/dev", "/dev/shm", "/tmp", "/usr", "/etc", "/usr/lib"]
)
def test_a_place_of_the_system_is_no_workspace(elsewhere: Path, path: str) -> None:
    with pytest.raises(WorkspaceError, match="The workspace cannot be") as caught:
        find_workspace(elsewhere, path)
    assert "--workspace or AGENT_WORKSPACE" in (caught.value.hint or "")


def test_nothing_is_made_where_no_workspace_may_be(elsewhere: Path) -> None:
    with pytest.raises(WorkspaceError, match="it belongs to the system"):
        find_workspace(elsewhere, "/etc/ssl/certs/none")
    assert not Path("/etc/ssl/certs/none").exists()


def test_a_folder_in_shared_memory_may_be_one(elsewhere: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        assert find_workspace(elsewhere, folder) == Path(folder)
