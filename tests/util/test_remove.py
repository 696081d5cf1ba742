"""Removing files and folders in any state, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from analystd.util.remove import remove

pytestmark = pytest.mark.slow


def nest(folder: Path, depth: int, name: str = "d") -> None:
    """Make folders within folders, by descriptor: no path could be so long."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)


def in_child(code: str, *arguments: Path) -> str:
    """What another Python says, without root's right to pass over permissions and with few descriptors."""
    preamble = (
        "import os, resource, sys\nfrom pathlib import Path\n"
        "from analystd.jail.capabilities import drop_all\nfrom analystd.util.remove import remove\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))\ndrop_all()\n"
    )
    command = [sys.executable, "-c", preamble + code, *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


@pytest.mark.parametrize("depth", [10, 3000, 10_000])
def test_deeply_nested_folders_are_removed(tmp_path: Path, depth: int) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    nest(tree, depth)
    nest(tree, depth // 2, "n" * 255)
    assert in_child("print(remove(Path(sys.argv[1])))", tree) == "[]\n"
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_removed_and_a_missing_path_ignored(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert remove(file) == remove(file) == remove(tmp_path / "never/was") == []
    assert not file.exists()


def test_many_files_are_removed(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for folder in range(10):
        (tree / str(folder)).mkdir(parents=True)
        for number in range(500):
            (tree / str(folder) / str(number)).touch()
    assert remove(tree) == []
    assert not tree.exists()


def test_links_are_removed_and_their_targets_stay(tmp_path: Path) -> None:
    kept, tree = tmp_path / "kept", tmp_path / "tree"
    (kept / "sub").mkdir(parents=True)
    (kept / "file").touch()
    (tree / "sub").mkdir(parents=True)
    (tree / "folder").symlink_to(kept)
    (tree / "sub" / "file").symlink_to(kept / "file")
    (tree / "sub" / "lost").symlink_to(tmp_path / "nowhere")
    link = tmp_path / "link"
    link.symlink_to(kept)
    assert remove(tree) == remove(link) == []
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "kept", "sub"]


def test_folders_without_permissions_for_their_owner_are_removed(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "closed" / "below").mkdir(parents=True)
    (tree / "closed" / "below" / "file").touch()
    (tree / "readable").mkdir()
    (tree / "readable" / "file").touch()
    nest(tree, 100)
    (tree / "/".join("d" * 50)).chmod(0)
    (tree / "closed" / "below").chmod(0)
    for folder in (tree / "closed", tree / "readable", tree):
        folder.chmod(0o500 if folder.name == "readable" else 0)
    assert in_child("print(remove(Path(sys.argv[1])))", tree) == "[]\n"
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_removed_is_reported_and_the_rest_removed(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "fixed").mkdir(parents=True)
    (tree / "fixed" / "file").touch()
    (tree / "other").touch()
    if subprocess.run(["chattr", "+i", tree / "fixed" / "file"], capture_output=True, check=False).returncode:
        pytest.skip("files cannot be made immutable here")
    try:
        left = remove(tree)
        assert [each.path.name for each in left] == ["file", "fixed"]
        assert str(left[0]) == f"{tree / 'fixed' / 'file'}: Operation not permitted"
        assert not (tree / "other").exists()
    finally:
        subprocess.run(["chattr", "-i", tree / "fixed" / "file"], check=True)
    assert remove(tree) == []


@pytest.mark.parametrize("kind", ["-t tmpfs tmpfs", "--bind {kept}"])
def test_a_file_system_mounted_inside_stays(tmp_path: Path, kind: str) -> None:
    kept, tree = tmp_path / "kept", tmp_path / "tree"
    kept.mkdir()
    (kept / "file").touch()
    (tree / "mount").mkdir(parents=True)
    (tree / "other").touch()
    code = "import sys; from pathlib import Path; from analystd.util.remove import remove; print(*remove(Path(sys.argv[1])))"
    script = f'mount {kind.format(kept=kept)} "$1/mount" && touch "$1/mount/file" && "$2" -c "$3" "$1" && ls "$1/mount"'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "-"]
    command += [str(tree), sys.executable, code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    assert "another file system is mounted there" in done.stdout
    assert done.stdout.endswith("\nfile\n")
    assert (kept / "file").exists()
    assert not (tree / "other").exists()


def test_removal_ends_in_time_while_new_files_appear(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    ended = threading.Event()

    def plant() -> None:
        number = 0
        while not ended.is_set():
            number += 1
            tree.mkdir(exist_ok=True)
            for name in ("file", "folder"):
                try:
                    (tree / f"{name}{number}").mkdir() if name == "folder" else (tree / f"{name}{number}").touch()
                except FileNotFoundError:
                    tree.mkdir(exist_ok=True)

    planter = threading.Thread(target=plant)
    planter.start()
    try:
        begun = time.monotonic()
        for _ in range(5):
            remove(tree, seconds=0.5)
        assert time.monotonic() - begun < 10
    finally:
        ended.set()
        planter.join()
    assert remove(tree) == []
    assert not tree.exists()
