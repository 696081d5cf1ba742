"""Which names count as trusted by tools outside, and which are left to ordinary work."""

from __future__ import annotations

from pathlib import Path

import pytest

from analystd.jail.survey import survey
from analystd.jail.trusted_names import TrustedNames
from analystd.jail.workspace import Workspace
from analystd.wire.errors import WorkspaceError

TRUSTED = """
.git .GIT .gitattributes .hg .vscode project.code-workspace .idea .envrc .env .husky .pre-commit-config.yaml .editorconfig
.devcontainer .devcontainer.json lefthook.yml .venv venv .pylintrc .eslintrc.json eslint.config.mjs .prettierrc conftest.py
sitecustomize.py .npmrc .mcp.json CLAUDE.md .claude .cursor .nvim.lua .exrc .dir-locals.el mise.toml mise.local.toml
.tool-versions .Rprofile .bashrc .github node_modules jupyter_server_config.py .gdbinit
""".split()  # noqa: SIM905

ORDINARY = """
prices.csv model.pth weights.pt report.ipynb .ipynb_checkpoints .cache .config .local .matplotlib pyproject.toml setup.cfg
requirements.txt package.json Makefile Dockerfile .gitignore README.md main.py config config.yaml environment.yml git vscode envrc
.DS_Store python.py mlruns wandb .joblib data.rdata.csv vite.config.json
""".split()  # noqa: SIM905


@pytest.mark.parametrize("name", TRUSTED)
def test_a_name_that_tools_act_on_by_themselves_is_trusted(name: str) -> None:
    assert TrustedNames().group(name) is not None


@pytest.mark.parametrize("name", ORDINARY)
def test_a_name_of_ordinary_work_is_not(name: str) -> None:
    assert TrustedNames().group(name) is None


def test_an_interpreter_is_trusted_where_programs_are() -> None:
    names = TrustedNames()
    assert [names.group(name, "bin") is not None for name in ("python", "python3.12", "pypy3", "python_tools.py")] == [
        True,
        True,
        True,
        False,
    ]
    assert names.group("python", "data") is None


def test_settings_add_names() -> None:
    names = TrustedNames(["Justfile", "*.secret", "a*b"])
    assert [names.group(name) is not None for name in ("justfile", "my.SECRET", "axxb", "b")] == [
        True,
        True,
        True,
        False,
    ]
    assert names.group(".git") is not None


def test_a_walk_finds_names_at_any_depth_and_nothing_inside_of_them(tmp_path: Path) -> None:
    deep = tmp_path / "/".join(["d"] * 300)
    deep.mkdir(parents=True)
    (deep / ".git").mkdir()
    (tmp_path / ".venv/lib/.git").mkdir(parents=True)
    (tmp_path / "link.code-workspace").symlink_to("nowhere")
    found = survey(tmp_path, TrustedNames(), measure=True)
    assert sorted(each.path for each in found.found) == [
        ".venv",
        "/".join(["d"] * 300 + [".git"]),
        "link.code-workspace",
    ]


@pytest.mark.parametrize(
    ("names", "mark", "sealed"),
    [
        (("r/HEAD", "r/objects/", "r/refs/"), "r/HEAD", ("r",)),
        (("w/HEAD", "w/commondir"), "w/HEAD", ("w",)),
        (("e/pyvenv.cfg", "e/bin/python"), "e/pyvenv.cfg", ("e",)),
        (("c/conda-meta/", "c/bin/python3"), "c/conda-meta", ("c",)),
    ],
)
def test_a_folder_is_known_by_what_is_in_it(
    tmp_path: Path, names: tuple[str, ...], mark: str, sealed: tuple[str, ...]
) -> None:
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.mkdir() if name.endswith("/") else path.touch()
    (found,) = survey(tmp_path, TrustedNames()).found
    assert (found.path, found.sealed_paths) == (mark, sealed)


def test_folders_with_only_some_of_a_repository_are_ordinary(tmp_path: Path) -> None:
    (tmp_path / "r/objects").mkdir(parents=True)
    (tmp_path / "r/HEAD").touch()
    assert survey(tmp_path, TrustedNames()).found == []


@pytest.mark.parametrize("path", [".git/config", "sub/.VSCode/settings.json", ".envrc", "env/bin/python", "notes.mine"])
def test_the_file_tool_does_not_write_what_tools_outside_trust(tmp_path: Path, path: str) -> None:
    workspace = Workspace(tmp_path, sealed_names=["*.mine"])
    with pytest.raises(WorkspaceError, match="may not be written from here"):
        workspace.open_parent_for_write(path)
    assert list(tmp_path.iterdir()) == []
