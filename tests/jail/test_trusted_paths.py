"""What tools outside trust stays the user's: sealed in every jail, and moved aside where code may have made it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.jail.conftest import offered_or_skip
from tests.jail.live import LiveJail

from analystd.jail import restoring
from analystd.jail.sandbox import Sandbox
from analystd.wire.errors import InvalidArgumentsError, WorkspaceError

SEALED = ["full", "bwrap"]

PLANTS = {
    "made": ("os.makedirs('a/.vscode')", ["a/.vscode"]),
    "renamed": ("os.mkdir('x'); os.rename('x', '.git')", [".git"]),
    "made in a folder that is renamed": ("os.makedirs('a/.idea'); os.rename('a', 'b')", ["b/.idea"]),
    "a link to a folder": ("os.mkdir('x'); os.symlink('x', '.git')", [".git"]),
    "a link that leads out": ("os.symlink('/etc', '.vscode')", [".vscode"]),
    "a link that leads nowhere": ("os.symlink('nowhere', '.envrc')", [".envrc"]),
    "a second name of a file": ("open('x', 'w').write('1'); os.link('x', '.envrc')", [".envrc"]),
    "in another case": ("os.mkdir('.Git')", [".Git"]),
    "a file that is to be a repository": ("open('.git', 'w').write('gitdir: x')", [".git"]),
    "a bare repository": ("[os.makedirs('r/' + d) for d in ('objects', 'refs')]; open('r/HEAD', 'w')", ["r/HEAD"]),
    "an environment": (
        "os.makedirs('env/bin'); open('env/pyvenv.cfg', 'w'); open('env/bin/python', 'w')",
        ["env/bin/python", "env/pyvenv.cfg"],
    ),
    "a pipe": ("os.mkfifo('.env')", [".env"]),
    "a name with line ends": ("os.makedirs('a\\nb/.vscode')", ["a\nb/.vscode"]),
    "beside another, nested deep": ("os.makedirs('/'.join(['d'] * 400) + '/.git')", ["/".join(["d"] * 400) + "/.git"]),
}


@pytest.fixture
def jail(walls: Sandbox, tmp_path: Path) -> Iterator[LiveJail]:
    with LiveJail(walls, tmp_path) as jail:
        yield jail


@pytest.fixture(params=SEALED)
def sealed_jail(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LiveJail]:
    (tmp_path / "workspace").mkdir()
    git_init(tmp_path / "workspace")
    with LiveJail(offered_or_skip(request.param), tmp_path) as jail:
        yield jail


@pytest.mark.parametrize("plant", PLANTS)
def test_what_code_makes_that_tools_outside_trust_is_moved_aside(jail: LiveJail, plant: str) -> None:
    code, expected = PLANTS[plant]
    assert jail.run("import os; " + code) is None
    assert jail.moved() == expected
    for path in expected:
        assert not os.path.lexists(jail.workspace / path)


def test_ordinary_files_stay(jail: LiveJail) -> None:
    jail.run("import os; os.makedirs('.cache/x'); open('model.pth', 'w'); open('pyproject.toml', 'w')")
    assert jail.moved() == []


def test_the_watch_moves_aside_what_a_process_left_behind_makes(jail: LiveJail) -> None:
    jail.run("import os, time\nif os.fork() == 0:\n    time.sleep(0.5)\n    os.mkdir('.git')\n    time.sleep(60)")
    deadline = time.monotonic() + 20
    while not jail.trusted.count and time.monotonic() < deadline:
        time.sleep(0.05)
    assert jail.trusted.count == 1
    assert not (jail.workspace / ".git").exists()


def test_files_that_the_user_makes_while_nothing_runs_are_kept_and_sealed(jail: LiveJail) -> None:
    jail.run("pass")
    jail.wait_until_calm()
    git_init(jail.workspace)
    (jail.workspace / "sub").mkdir()
    (jail.workspace / "sub/.envrc").write_text("mine")
    assert jail.moved() == []
    if jail.trusted._can_seal:
        assert jail.run("open('.git/config', 'a')") == "Read-only file system"
        assert jail.run("open('sub/.envrc', 'a')") == "Read-only file system"


def test_trusted_names_that_appear_while_code_runs_are_moved_aside(jail: LiveJail) -> None:
    jail.run("pass")
    jail.wait_until_calm()
    jail.run("import time; time.sleep(0.01)")
    (jail.workspace / ".vscode").mkdir()
    assert jail.moved() == [".vscode"]
    assert "analystd quarantine restore" in jail.trusted.entries_since(0)[0].sentence()


def test_a_user_who_replaces_a_file_has_the_new_one_sealed(sealed_jail: LiveJail) -> None:
    jail = sealed_jail
    jail.wait_until_calm()
    (jail.workspace / ".envrc").write_text("old")
    jail.trusted.look()
    assert jail.run("open('.envrc', 'a')") == "Read-only file system"
    jail.wait_until_calm()
    (jail.workspace / "new").write_text("new")
    (jail.workspace / "new").replace(jail.workspace / ".envrc")
    assert jail.moved() == []
    assert jail.run("open('.envrc', 'a')") == "Read-only file system"


def test_the_users_files_stay_trusted_after_a_rename_but_their_replacements_do_not(
    sealed_jail: LiveJail,
) -> None:
    jail = sealed_jail
    jail.wait_until_calm()
    git_init(jail.workspace / "project")
    jail.trusted.look()
    assert jail.run("import os; os.rename('project', 'other'); os.makedirs('project/.git')") is None
    assert jail.moved() == ["project/.git"]
    assert (jail.workspace / "other/.git/config").exists()
    assert jail.run("open('other/.git/config', 'a')") == "Read-only file system"


def test_a_second_jail_is_sealed_though_the_first_renames_folders_while_it_starts(
    sealed_jail: LiveJail, tmp_path: Path
) -> None:
    jail = sealed_jail
    jail.wait_until_calm()
    git_init(jail.workspace / "project")
    level = offered_or_skip("full")
    paths = jail.trusted.to_seal()
    jail.run("import os; os.rename('project', 'elsewhere')")
    second = LiveJail(level, tmp_path)
    second.trusted = jail.trusted
    assert jail.workspace / "project/.git" in paths
    with second:
        assert second.run("open('elsewhere/.git/config', 'a')") == "Read-only file system"


def test_a_link_of_the_users_has_what_it_leads_to_sealed(sealed_jail: LiveJail) -> None:
    jail = sealed_jail
    jail.wait_until_calm()
    (jail.workspace / "editor").mkdir()
    (jail.workspace / ".vscode").symlink_to("editor")
    jail.trusted.look()
    assert jail.run("open('editor/settings.json', 'w')") == "Read-only file system"
    assert jail.run("import os; os.unlink('.vscode'); os.mkdir('mine'); os.symlink('mine', '.vscode')") is None
    assert jail.moved() == [".vscode"]


def test_a_replaced_trusted_file_is_moved_aside_at_a_level_without_seals(tmp_path: Path) -> None:
    (tmp_path / "workspace/.vscode").mkdir(parents=True)
    with LiveJail(offered_or_skip("partial"), tmp_path) as jail:
        jail.run("import os; os.rename('.vscode', 'x'); os.mkdir('.vscode')")
        assert jail.moved() == [".vscode"]


def test_what_is_left_by_a_jail_that_was_killed_is_moved_aside(walls: Sandbox, tmp_path: Path) -> None:
    jail = LiveJail(walls, tmp_path)
    with jail:
        jail.run("import os; os.mkdir('.git')")
        jail.process.kill()
    assert jail.moved() == [".git"]
    assert not jail.record.exists()


def test_a_daemon_after_one_that_was_killed_trusts_only_what_was_the_users_before(
    walls: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "workspace/.vscode").mkdir(parents=True)
    with LiveJail(walls, tmp_path) as jail:
        # The guard that the killed daemon had is no more; the new one has the record alone.
        with jail.trusted.locked():
            jail.run("import os; os.mkdir('.git')")
            successor = jail.guard(walls)
            successor.look()
        assert [item.path for entry in successor.quarantine.entries() for item in entry.items] == [".git"]
        assert (jail.workspace / ".vscode").is_dir()


def test_git_runs_no_monitor_that_code_in_the_jail_named(sealed_jail: LiveJail, tmp_path: Path) -> None:
    jail = sealed_jail
    script, mark = tmp_path / "workspace/monitor.sh", tmp_path / "mark"
    attack = (
        f"import os\nopen('monitor.sh', 'w').write('#!/bin/sh\\ntouch {mark}\\n'); os.chmod('monitor.sh', 0o755)\n"
        f"for place in ('.git', 'sub/.git'):\n"
        "    try:\n"
        "        [os.makedirs(place + '/' + part) for part in ('objects', 'refs') if not os.path.exists(place)]\n"
        "        open(place + '/HEAD', 'w').write('ref: refs/heads/main')\n"
        "    except OSError: pass\n"
        f"    try: open(place + '/config', 'w').write('[core]\\n\\tfsmonitor = {script}\\n')\n"
        "    except OSError: pass\n"
    )
    assert jail.run(attack) is None
    assert jail.moved() == ["sub/.git"]
    for folder in (jail.workspace, jail.workspace / "sub"):
        subprocess.run(["git", "status"], cwd=folder, capture_output=True, timeout=30)
    assert not mark.exists()
    # Were it let, git would run it.
    git_init(tmp_path / "unguarded")
    subprocess.run(["git", "config", "core.fsmonitor", str(script)], cwd=tmp_path / "unguarded", check=True)
    subprocess.run(["git", "status"], cwd=tmp_path / "unguarded", capture_output=True, timeout=30)
    assert mark.exists()


def test_ten_thousand_names_are_moved_aside_together_and_in_seconds(jail: LiveJail) -> None:
    jail.run("import os; [os.makedirs(f'd{n % 100}/{n}/.vscode') for n in range(10_000)]")
    begun = time.monotonic()
    assert len(jail.moved()) == 10_000
    assert time.monotonic() - begun < 20
    assert len(jail.trusted.quarantine.entries()) < 50
    assert all(len(entry.sentence()) < 1000 for entry in jail.trusted.quarantine.entries())


def test_code_that_races_with_the_guard_is_a_storm(jail: LiveJail) -> None:
    assert not jail.trusted.is_stormed()
    for number in range(10):
        jail.run(f"import os; os.makedirs('d{number}/.git')")
        jail.trusted.look()
    assert jail.trusted.is_stormed()


def test_a_folder_that_is_constantly_renamed_hides_nothing_for_long(jail: LiveJail) -> None:
    jail.run(
        "import os\nos.makedirs('a/x/.git')\nos.makedirs('b')\n"
        "if os.fork() == 0:\n"
        "    while True:\n"
        "        os.rename('a/x', 'b/x'); os.rename('b/x', 'a/x')"
    )
    time.sleep(0.5)
    jail.end()
    assert [path.rpartition("/")[2] for path in jail.moved()] == [".git"]
    assert list(jail.workspace.rglob(".git")) == []


class TestOnAnotherDisk:
    """The quarantine lies on another file system than the workspace."""

    @pytest.fixture
    def jail(self, walls: Sandbox, tmp_path: Path) -> Iterator[LiveJail]:
        with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
            if Path(other).stat().st_dev == tmp_path.stat().st_dev:
                pytest.skip("there is no second file system")
            with LiveJail(walls, tmp_path, Path(other) / "quarantine") as jail:
                yield jail

    def test_things_are_moved_over(self, jail: LiveJail) -> None:
        jail.run(
            "import os; os.makedirs('a/.git/hooks'); open('a/.git/config', 'w').write('[core]'); os.symlink('x', '.envrc')"
        )
        assert jail.moved() == [".envrc", "a/.git"]
        assert sorted(path.name for path in jail.workspace.iterdir()) == ["a"]
        assert list((jail.workspace / "a").iterdir()) == []
        (config,) = jail.quarantine.rglob("config")
        assert config.read_text() == "[core]"

    def test_an_item_that_cannot_be_copied_stays_under_a_meaningless_name(self, jail: LiveJail) -> None:
        deep = "/".join(["d"] * 100)
        jail.run(f"import os; os.makedirs('x/{deep}'); os.rename('x', '.git')")
        assert jail.moved() == [".git"]
        (left,) = jail.workspace.iterdir()
        assert left.name.startswith(".analystd-quarantine-")
        (entry,) = jail.trusted.quarantine.entries()
        jail.trusted.look()
        assert jail.trusted.count == 1
        jail.trusted.quarantine.discard(entry.id)
        assert list(jail.workspace.iterdir()) == []


class TestRestoring:
    def entry(self, jail: LiveJail, code: str) -> str:
        jail.run("import os; " + code)
        jail.trusted.look()
        return jail.trusted.quarantine.entries()[0].id

    def restore(self, jail: LiveJail, entry_id: str, digest: str | None = None) -> None:
        restoring.restore(jail.trusted, jail.trusted.quarantine.entry(entry_id), digest)

    def test_what_is_put_back_stays_and_is_sealed(self, jail: LiveJail) -> None:
        entry_id = self.entry(jail, "os.makedirs('a/.vscode'); open('a/.vscode/settings.json', 'w').write('{}')")
        self.restore(jail, entry_id)
        assert (jail.workspace / "a/.vscode/settings.json").read_text() == "{}"
        assert jail.moved() == []
        assert [path.name for path in (jail.workspace / "a").iterdir()] == [".vscode"]
        if jail.trusted._can_seal:
            assert jail.run("open('a/.vscode/settings.json', 'a')") == "Read-only file system"
            assert jail.run("os.rename('a/.vscode', 'a/x')") == "Device or resource busy"
        with pytest.raises(InvalidArgumentsError):
            jail.trusted.quarantine.entry(entry_id)

    def test_code_that_holds_the_file_open_or_by_another_name_cannot_change_it(self, jail: LiveJail) -> None:
        entry_id = self.entry(jail, "f = open('.envrc', 'w'); f.write('good'); f.flush(); os.link('.envrc', 'mine')")
        self.restore(jail, entry_id)
        jail.run("f.write('evil'); f.flush(); open('mine', 'a').write('evil')")
        assert (jail.workspace / ".envrc").read_text() == "good"

    def test_what_changed_since_it_was_shown_is_not_put_back(self, jail: LiveJail) -> None:
        entry_id = self.entry(jail, "f = open('.envrc', 'w'); f.write('good'); f.flush()")
        entry = jail.trusted.quarantine.entry(entry_id)
        shown = restoring.preview(jail.trusted, entry)
        assert [preview.problem for preview in shown] == [None]
        jail.run("f.write('evil'); f.flush()")
        with pytest.raises(WorkspaceError, match="has changed since it was shown"):
            self.restore(jail, entry_id, restoring.digest(shown))
        assert not (jail.workspace / ".envrc").exists()

    def test_nothing_is_put_over_what_is_there(self, jail: LiveJail) -> None:
        entry_id = self.entry(jail, "os.mkdir('.vscode')")
        jail.wait_until_calm()
        (jail.workspace / ".vscode").mkdir()
        (jail.workspace / ".vscode/mine").touch()
        with pytest.raises(WorkspaceError, match="something else is there now"):
            self.restore(jail, entry_id)
        assert (jail.workspace / ".vscode/mine").exists()

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ("os.rmdir('a')", "its folder no longer exists"),
            ("os.rename('a', 'b'); os.symlink('b', 'a')", "has been replaced by something else"),
            ("os.rename('a', 'b'); os.symlink('/tmp', 'a')", "has been replaced by something else"),
        ],
    )
    def test_nothing_is_put_back_where_its_folder_is_another(self, jail: LiveJail, change: str, reason: str) -> None:
        entry_id = self.entry(jail, "os.makedirs('a/.git')")
        jail.run(change)
        with pytest.raises(WorkspaceError, match=reason):
            self.restore(jail, entry_id)

    def test_a_repository_is_put_back_with_what_made_it_one(self, jail: LiveJail) -> None:
        make = "[os.makedirs('r/' + d) for d in ('objects', 'refs')]; open('r/config', 'w').write('[core]'); open('r/HEAD', 'w').write('ref')"
        entry_id = self.entry(jail, make)
        shown = restoring.preview(jail.trusted, jail.trusted.quarantine.entry(entry_id))
        assert shown[0].description is not None
        assert "config" in {Path(path).name for path, _ in shown[0].description.files}
        self.restore(jail, entry_id)
        assert (jail.workspace / "r/HEAD").read_text() == "ref"
        assert jail.moved() == []
        if jail.trusted._can_seal:
            assert jail.run("open('r/config', 'a')") == "Read-only file system"


def git_init(folder: Path) -> None:
    assert shutil.which("git") is not None
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
