"""What is trusted outside of the jail is never in the reach of its code: it is sealed, or the workspace refused."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.jail.conftest import Jail, new_policy, offered_or_skip

from analystd.config.folders import cache_folder, state_folder, user_settings_file
from analystd.config.settings import Settings
from analystd.jail.interpreters import Interpreter
from analystd.jail.trusted_places import (
    Seals,
    TrustedPlace,
    daemon_places,
    desk_places,
    joined,
    read_only_seals,
    seals_in,
    steps_to,
)
from analystd.wire.errors import WorkspaceError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = Path(os.path.realpath(tmp_path)) / "workspace"
    root.mkdir()
    return root


def place(path: Path, **more: bool) -> TrustedPlace:
    return TrustedPlace(path, "the thing", "Do this.", **more)


def sealed(root: Path, *places: TrustedPlace) -> list[str]:
    return [str(path.relative_to(root)) for path in seals_in(root, places, can_seal=True).sealed]


def refusal(root: Path, *places: TrustedPlace, can_seal: bool = True) -> str:
    with pytest.raises(WorkspaceError) as caught:
        seals_in(root, places, can_seal=can_seal)
    assert caught.value.message.startswith(f"The workspace cannot be {root}: ")
    assert caught.value.hint == "Do this."
    return caught.value.message.removeprefix(f"The workspace cannot be {root}: ")


def interpreter(prefix: Path) -> Interpreter:
    """A virtual environment's, as far as it matters here."""
    site = prefix / "lib/python3/site-packages"
    site.mkdir(parents=True)
    (prefix / "bin").mkdir()
    (prefix / "bin/python").symlink_to("/usr/bin/python3")
    return Interpreter(prefix / "bin/python", (prefix / "bin/python",), (prefix,), (site,), (site,), None)


def test_what_lies_outside_needs_nothing(root: Path, tmp_path: Path) -> None:
    assert seals_in(root, [place(tmp_path / "other")], can_seal=False) == Seals()


def test_trusted_places_inside_are_sealed_and_their_parents_pinned(root: Path) -> None:
    (root / "a/b/env").mkdir(parents=True)
    assert seals_in(root, [place(root / "a/b/env")], can_seal=True) == Seals(
        (root / "a/b/env",), (root / "a", root / "a/b")
    )


def test_without_seals_it_is_refused(root: Path) -> None:
    (root / "env").mkdir()
    why = "it cannot be made read-only there without namespaces"
    assert refusal(root, place(root / "env"), can_seal=False) == f"the thing ({root / 'env'}) would be in it, and {why}"


def test_what_is_not_there_could_be_made_and_is_refused(root: Path) -> None:
    assert "does not exist, and code could create it" in refusal(root, place(root / "later"))


def test_what_is_not_there_cannot_be_made_in_what_is_sealed(root: Path) -> None:
    (root / "env").mkdir()
    assert sealed(root, place(root / "env"), place(root / "env/python311.zip")) == ["env"]


def test_what_is_kept_secret_is_refused_and_not_sealed(root: Path) -> None:
    (root / "state").mkdir()
    assert "would be in it, where code could change it" in refusal(root, place(root / "state", can_be_sealed=False))


def test_the_workspace_may_not_be_or_lie_in_a_trusted_folder(root: Path) -> None:
    assert refusal(root, place(root)) == f"it is the thing ({root})"
    assert refusal(root, place(root.parent)) == f"it is inside the thing ({root.parent})"
    assert sealed(root, place(root.parent, may_surround=True)) == []
    assert refusal(root, place(root, may_surround=True)) == f"it is the thing ({root})"


def test_a_link_in_the_workspace_on_the_way_matters_as_much_as_the_end(root: Path, tmp_path: Path) -> None:
    (tmp_path / "env").mkdir()
    (root / "current").symlink_to(tmp_path / "env")
    assert "goes through the link" in refusal(root, place(root / "current"))
    (root / "links").mkdir()
    (root / "links/current").symlink_to(tmp_path / "env")
    (tmp_path / "way").symlink_to(root / "links/current")
    assert sealed(root, place(tmp_path / "way/bin")) == ["links"]


def test_a_link_from_outside_into_the_workspace_is_followed(root: Path, tmp_path: Path) -> None:
    (root / "env").mkdir()
    (tmp_path / "env").symlink_to(root / "env")
    assert sealed(root, place(tmp_path / "env")) == ["env"]


def test_steps_are_those_that_the_system_takes(tmp_path: Path) -> None:
    base = Path(os.path.realpath(tmp_path))
    (base / "a").mkdir()
    (base / "one").symlink_to("two")
    (base / "two").symlink_to(base / "a/../a")
    (base / "round").symlink_to("round")
    assert list(steps_to(base / "one/x")) == [base / "one", base / "two", base / "a/x"]
    assert len(list(steps_to(base / "round"))) == 41


@pytest.mark.parametrize("kept", [state_folder, cache_folder, lambda: user_settings_file().parent])
def test_what_analystd_keeps_is_never_in_a_workspace(kept: object, tmp_path: Path) -> None:
    assert callable(kept)
    folder = Path(os.path.realpath(kept()))
    places = daemon_places(Settings(), interpreter(tmp_path / "env"), Path("/run/analystd"))
    for workspace in (folder, folder.parent, folder / "workspace"):
        with pytest.raises(WorkspaceError, match="analystd's"):
            seals_in(workspace, places, can_seal=True)


def test_a_log_in_the_workspace_is_refused(root: Path, tmp_path: Path) -> None:
    places = daemon_places(Settings(log_dir=str(root / "logs")), interpreter(tmp_path / "env"), Path("/run/analystd"))
    with pytest.raises(WorkspaceError, match="analystd's log") as caught:
        seals_in(root, places, can_seal=True)
    assert "AGENT_LOG_DIR" in (caught.value.hint or "")


def test_our_own_environment_in_the_workspace_is_sealed_whole(root: Path, tmp_path: Path) -> None:
    places = daemon_places(Settings(), interpreter(root / ".venv"), Path("/run/analystd"))
    assert seals_in(root, places, can_seal=True).sealed == (root / ".venv",)


def test_folders_in_path_files_are_sealed_even_before_they_exist(root: Path, tmp_path: Path) -> None:
    own = interpreter(tmp_path / "env")
    (own.sites[0] / "mine.pth").write_text(f"{root / 'src'}\n")
    places = daemon_places(Settings(), own, Path("/run/analystd"))
    with pytest.raises(WorkspaceError, match="does not exist, and code could create it"):
        seals_in(root, places, can_seal=True)
    (root / "src").mkdir()
    assert seals_in(root, places, can_seal=True).sealed == (root / "src",)


def test_a_workspace_in_a_project_that_is_imported_from_is_allowed(root: Path, tmp_path: Path) -> None:
    own = interpreter(tmp_path / "env")
    (own.sites[0] / "mine.pth").write_text(f"{root.parent}\n")
    places = daemon_places(Settings(), own, Path("/run/analystd"))
    assert seals_in(root, places, can_seal=True) == Seals()
    with pytest.raises(WorkspaceError, match="it is a folder that analystd imports from"):
        seals_in(root.parent, places, can_seal=True)


@pytest.mark.parametrize("name", ["PYTHONPATH", "LD_LIBRARY_PATH", "LD_PRELOAD"])
def test_folders_that_our_environment_loads_code_from_are_sealed(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (root / "lib").mkdir()
    monkeypatch.setenv(name, f"/usr/lib:{root / 'lib'}")
    places = daemon_places(Settings(), interpreter(tmp_path / "env"), Path("/run/analystd"))
    assert seals_in(root, places, can_seal=True).sealed == (root / "lib",)


def test_all_files_of_a_model_are_sealed(root: Path) -> None:
    for name in ("m-00001-of-00002.gguf", "m-00002-of-00002.gguf"):
        (root / name).touch()
    places = desk_places(Settings(model_path=str(root / "m-00001-of-00002.gguf")), None)
    assert [path.name for path in seals_in(root, places, can_seal=True).sealed] == [
        "m-00001-of-00002.gguf",
        "m-00002-of-00002.gguf",
    ]


def test_what_is_said_to_be_read_only_is_so_in_the_workspace_too(root: Path, tmp_path: Path) -> None:
    (root / "raw").mkdir()
    seals = read_only_seals(root, [root / "raw", tmp_path, root, root / "nothing"])
    assert seals == Seals((root / "raw",), ())
    assert joined(root, seals, Seals((root / "raw/deep",), (root / "raw",))) == seals


@pytest.fixture(params=["full", "bwrap"])
def jail(request: pytest.FixtureRequest, tmp_path: Path) -> Jail:
    return Jail(offered_or_skip(request.param), new_policy(tmp_path))


def test_a_sealed_place_stays_what_it_is_by_its_path(jail: Jail) -> None:
    workspace = Path(os.path.realpath(jail.policy.workspace))
    (workspace / "a/b/env").mkdir(parents=True)
    (workspace / "a/b/env/own.pth").touch()
    seals = seals_in(workspace, [place(workspace / "a/b/env")], can_seal=True)
    policy = replace(jail.policy, sealed=seals.sealed, pinned=seals.pinned)
    code = """
import os
refused = 0
for attempt in (
    lambda: open('a/b/env/planted.pth', 'w'), lambda: os.rename('a', 'x'), lambda: os.rename('a/b', 'x'),
    lambda: os.rename('a/b/env', 'a/b/x'), lambda: os.rename('a/b', 'a/x'), lambda: os.unlink('a/b/env/own.pth'),
):
    try:
        attempt()
    except OSError:
        refused += 1
open('a/new', 'w').close(); open('a/b/new', 'w').close()
print(refused)
"""
    done = Jail(jail.sandbox, policy).run(sys.executable, "-P", "-c", code)
    assert done.stdout == "6\n", done.stderr
