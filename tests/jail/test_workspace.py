"""The workspace lets in what is inside, says what is wrong with the rest, and is not fooled by links."""

from __future__ import annotations

import ctypes
import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from analystd.jail import workspace as workspace_module
from analystd.jail.workspace import Workspace, get_default_workspace
from analystd.wire.errors import ResourceLimitError, WorkspaceError

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="needs to run as root")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project as the seed draws it: the jail beside the sources."""
    for folder in ("workspace/data", "boot", "daemon", "servr", "lake/boot"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "workspace/data/prices.csv").write_text("a,b\n1,2\n")
    (tmp_path / "boot/setup.py").write_text("SECRET = 1\n")
    (tmp_path / "servr/api.py").write_text("SECRET = 2\n")
    (tmp_path / "lake/bars.csv").write_text("open\n1\n")
    (tmp_path / "lake/boot/x.csv").write_text("x\n")
    return tmp_path


@pytest.fixture
def ws(project: Path) -> Workspace:
    return Workspace(project / "workspace", read_only_paths=[project / "lake"])


def refusal(ws: Workspace, path: str) -> str:
    with pytest.raises(WorkspaceError) as caught:
        ws.resolve(path)
    return caught.value.message


def read(ws: Workspace, path: str) -> bytes:
    descriptor = ws.open_read(path)
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def failure(ws: Workspace, path: str) -> str:
    with pytest.raises(WorkspaceError) as caught:
        os.close(ws.open_read(path))
    return caught.value.message


def test_resolves_a_path_inside(ws: Workspace, project: Path) -> None:
    assert ws.resolve("data/prices.csv") == Path(os.path.realpath(project)) / "workspace/data/prices.csv"


def test_resolves_what_is_not_there_yet(ws: Workspace) -> None:
    assert ws.resolve("new/folder/x.csv") == ws.root / "new/folder/x.csv"


def test_a_way_out_and_in_again_is_inside(ws: Workspace) -> None:
    assert ws.resolve("../workspace/data") == ws.root / "data"


def test_an_escape_has_the_words_of_the_seed(ws: Workspace) -> None:
    assert refusal(ws, "../servr/api.py") == "Path is outside workspace"


@pytest.mark.parametrize(
    "path", ["../boot/setup.py", "../BOOT/setup.py", "boot/setup.py", "data/../../boot", "boot/../x"]
)
def test_a_protected_name_is_refused_wherever_it_is(ws: Workspace, path: str) -> None:
    assert refusal(ws, path) == "Access to 'boot/' is blocked for safety"


def test_the_daemons_own_sources_are_protected(ws: Workspace, project: Path) -> None:
    message = "Access to 'daemon/' is blocked for safety"
    assert refusal(ws, "../daemon/x") == message
    assert refusal(ws, str(project / "daemon/x")) == message


def test_the_name_of_the_workspaces_own_parents_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "daemon/workspace").mkdir(parents=True)
    ws = Workspace(tmp_path / "daemon/workspace")
    assert ws.resolve(str(ws.root / "x.csv")) == ws.root / "x.csv"


@pytest.mark.parametrize("path", ["/etc/passwd", "/", "..", "../..", "data/../../servr", "../workspace2", "../servr\n"])
def test_what_is_outside_is_refused(ws: Workspace, path: str) -> None:
    assert refusal(ws, path) == "Path is outside workspace"


def test_a_refusal_names_the_setting_that_allows_more_reading(ws: Workspace) -> None:
    with pytest.raises(WorkspaceError) as caught:
        ws.resolve("/etc/passwd")
    assert "AGENT_READ_ONLY_PATHS" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "The path is empty"),
        ("a\0b", "The path contains a NUL character"),
        ("\ud800", "The path is not valid UTF-8 text"),
        ("x" * 256, "The path is too long: 256 bytes, its longest name 256; the maximum is 4095 and 255"),
    ],
)
def test_a_path_that_no_file_can_have_is_refused_clearly(ws: Workspace, path: str, message: str) -> None:
    assert refusal(ws, path) == message


def test_a_path_of_many_short_names_may_be_too_long(ws: Workspace) -> None:
    assert refusal(ws, "a/" * 3000).startswith("The path is too long: 6000 bytes")


def test_a_name_that_is_not_utf_8_can_be_read(ws: Workspace) -> None:
    (Path(os.fsdecode(os.fsencode(ws.root) + b"/caf\xe9.csv"))).write_bytes(b"1")
    assert read(ws, "caf\udce9.csv") == b"1"


def test_absolute_paths_inside_and_read_only_are_read(ws: Workspace, project: Path) -> None:
    assert read(ws, str(ws.root / "data/prices.csv")) == b"a,b\n1,2\n"
    assert read(ws, str(project / "lake/bars.csv")) == b"open\n1\n"
    assert read(ws, "../lake/bars.csv") == b"open\n1\n"


def test_a_protected_name_below_a_read_only_path_is_refused(ws: Workspace, project: Path) -> None:
    assert refusal(ws, str(project / "lake/boot/x.csv")) == "Access to 'boot/' is blocked for safety"


def test_a_protected_folder_that_was_given_for_reading_is_read(project: Path) -> None:
    ws = Workspace(project / "workspace", read_only_paths=[project / "boot"])
    assert read(ws, str(project / "boot/setup.py")) == b"SECRET = 1\n"


def test_a_single_file_can_be_given_for_reading(project: Path) -> None:
    ws = Workspace(project / "workspace", read_only_paths=[project / "servr/api.py"])
    assert read(ws, str(project / "servr/api.py")) == b"SECRET = 2\n"


def test_links_inside_and_into_read_only_paths_are_followed(ws: Workspace, project: Path) -> None:
    (ws.root / "alias").symlink_to(ws.root / "data")
    (ws.root / "lake").symlink_to(project / "lake")
    assert read(ws, "alias/prices.csv") == b"a,b\n1,2\n"
    assert read(ws, "lake/bars.csv") == b"open\n1\n"


def test_a_link_outward_is_refused(ws: Workspace, project: Path) -> None:
    (ws.root / "out").symlink_to(project / "servr")
    (ws.root / "far").symlink_to("/etc/passwd")
    (ws.root / "secret").symlink_to("../boot")
    assert refusal(ws, "out/api.py") == "Path is outside workspace"
    assert refusal(ws, "far") == "Path is outside workspace"
    assert refusal(ws, "secret/setup.py") == "Access to 'boot/' is blocked for safety"


def test_a_hard_link_is_a_file_like_any_other(ws: Workspace, project: Path) -> None:
    """A jailed process cannot make one to the outside (the sandbox refuses it), so there is nothing to see in one."""
    os.link(project / "servr/api.py", ws.root / "hard")
    assert read(ws, "hard") == b"SECRET = 2\n"


def test_what_is_missing_is_named(ws: Workspace) -> None:
    assert failure(ws, "data/nothing.csv") == "No such file: data/nothing.csv"
    assert failure(ws, "data/prices.csv/x") == "Not a folder: data/prices.csv/x"


def test_what_is_not_a_regular_file_is_named_and_does_not_hang(ws: Workspace) -> None:
    os.mkfifo(ws.root / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(ws.root / "sock"))
        assert failure(ws, "sock") == "Not a regular file: sock is a socket or a device"
    assert failure(ws, "pipe") == "Not a regular file: pipe is a named pipe"
    assert failure(ws, "data") == "Is a folder, not a file: data"
    assert failure(ws, ".") == "Is a folder, not a file: ."


@ROOT_ONLY
def test_a_device_is_not_a_file(ws: Workspace) -> None:
    try:
        os.mknod(ws.root / "zero", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("this machine lets nobody make devices")
    assert failure(ws, "zero") in ("Not a regular file: zero is a device", "No permission: zero")


def test_links_in_a_circle_are_refused(ws: Workspace) -> None:
    (ws.root / "a").symlink_to("b")
    (ws.root / "b").symlink_to("a")
    assert failure(ws, "a") == "Links form a loop or keep changing: a"


def test_a_file_without_permission_is_named(project: Path) -> None:
    (project / "workspace/locked.csv").touch(mode=0o000)
    code = (
        "import os, sys; from pathlib import Path; from analystd.wire.errors import WorkspaceError\n"
        "from analystd.jail.workspace import Workspace\n"
        "ws = Workspace(Path(sys.argv[1]))\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"
        "try: ws.open_read('locked.csv')\n"
        "except WorkspaceError as exc: print(exc.message)\n"
    )
    for folder in (project, *project.parents[:2]):
        folder.chmod(0o755)
    output = subprocess.check_output([sys.executable, "-c", code, str(project / "workspace")], text=True)
    assert output == "No permission: locked.csv\n"


def test_a_folder_is_opened_for_listing(ws: Workspace) -> None:
    descriptor = ws.open_folder("data")
    try:
        assert [entry.name for entry in os.scandir(descriptor)] == ["prices.csv"]
    finally:
        os.close(descriptor)
    with pytest.raises(WorkspaceError, match=r"Not a folder: data/prices\.csv"):
        ws.open_folder("data/prices.csv")


def test_descriptors_are_not_inherited(ws: Workspace) -> None:
    descriptor = ws.open_read("data/prices.csv")
    try:
        assert not os.get_inheritable(descriptor)
    finally:
        os.close(descriptor)


def test_folders_are_made_for_writing(ws: Workspace) -> None:
    folder, name = ws.open_parent_for_write("new/deep/x.csv")
    try:
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT, 0o666, dir_fd=folder))
    finally:
        os.close(folder)
    assert (ws.root / "new/deep/x.csv").is_file()


def test_writing_through_a_link_reaches_its_target(ws: Workspace) -> None:
    (ws.root / "latest.csv").symlink_to("data/prices.csv")
    folder, name = ws.open_parent_for_write("latest.csv")
    try:
        assert (Path(f"/proc/self/fd/{folder}").readlink(), name) == (ws.root / "data", "prices.csv")
    finally:
        os.close(folder)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("../lake/bars.csv", "Path is read-only: ../lake/bars.csv"),
        ("../servr/api.py", "Path is outside workspace"),
        (".", "Is a folder, not a file: ."),
        ("data", "Is a folder, not a file: data"),
        ("data/", "Is a folder, not a file: data/"),
        ("data/prices.csv/x", "Not a folder: data/prices.csv/x"),
    ],
)
def test_writing_where_no_file_can_be_is_refused(ws: Workspace, path: str, message: str) -> None:
    with pytest.raises(WorkspaceError) as caught:
        ws.open_parent_for_write(path)
    assert caught.value.message == message


@pytest.mark.parametrize("by_hand", [False, True], ids=["openat2", "component by component"])
def test_a_link_swapped_in_between_gains_nothing(
    ws: Workspace, project: Path, by_hand: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if by_hand:
        monkeypatch.setattr("analystd.jail.openat2._has_openat2", lambda: False)
    (project / "servr/prices.csv").write_text("STOLEN\n")
    (ws.root / "swap").mkdir()
    (ws.root / "swap/prices.csv").write_text("mine\n")
    seen = set()
    with _swapping(ws.root / "swap", project / "servr"):
        for _ in range(1000):
            try:
                seen.add(read(ws, "swap/prices.csv"))
            except WorkspaceError:
                continue
            try:
                folder, _name = ws.open_parent_for_write("swap/new.csv")
            except WorkspaceError:
                continue
            assert Path(f"/proc/self/fd/{folder}").readlink().is_relative_to(ws.root)
            os.close(folder)
    assert seen <= {b"mine\n"}


class _swapping:  # noqa: N801
    """Exchanges `folder` and a link to `target`, back and forth, as fast as it can."""

    def __init__(self, folder: Path, target: Path) -> None:
        self._folder, self._target = folder, target
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        libc, exchange, here = ctypes.CDLL(None), 2, -100
        link = self._folder.with_name("link")
        link.symlink_to(self._target)
        while not self._stop.is_set():
            libc.renameat2(here, os.fsencode(self._folder), here, os.fsencode(link), exchange)


def test_the_walk_by_hand_reads_and_refuses_alike(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analystd.jail.openat2._has_openat2", lambda: False)
    (ws.root / "a").symlink_to("a")
    assert read(ws, "data/prices.csv") == b"a,b\n1,2\n"
    assert failure(ws, "a") == "Links form a loop or keep changing: a"
    assert failure(ws, "data") == "Is a folder, not a file: data"


def test_the_stats_have_the_keys_of_the_seed(ws: Workspace) -> None:
    stats = ws.get_resource_stats()
    assert list(stats) == ["workspace_size_gb", "workspace_limit_gb", "ram_used_percent", "ram_free_percent"]
    assert stats["workspace_limit_gb"] == 5.0
    assert stats["ram_used_percent"] + stats["ram_free_percent"] == pytest.approx(100.0)


def test_resources_within_the_limits_raise_nothing(ws: Workspace) -> None:
    Workspace(ws.root, min_free_ram_percent=0.0).check_resources()


def test_a_workspace_over_its_limit_is_told_with_limit_and_size(project: Path) -> None:
    (project / "workspace/big").write_bytes(b"x" * 3_000_000)
    ws = Workspace(project / "workspace", max_gb=0.001, min_free_ram_percent=0.0)
    with pytest.raises(ResourceLimitError, match=r"The workspace holds 0\.00\d+ GB; its limit is 0\.001 GB") as caught:
        ws.check_resources()
    assert "AGENT_WORKSPACE_MAX_GB" in (caught.value.hint or "")


def test_too_little_memory_is_told_with_limit_and_share(project: Path) -> None:
    ws = Workspace(project / "workspace", min_free_ram_percent=100.0)
    with pytest.raises(ResourceLimitError, match=r"Only \d+\.\d% of the memory is free; at least 100% must be"):
        ws.check_resources()


def test_the_size_counts_blocks_and_not_what_a_sparse_file_claims(ws: Workspace) -> None:
    with (ws.root / "sparse").open("wb") as file:
        file.truncate(10_000_000_000)
    assert ws.size_bytes() < 1_000_000


def test_nothing_hides_from_the_size_by_lying_deep(ws: Workspace) -> None:
    nest = (
        "import os\nfor _ in range(2500):\n os.mkdir('dd')\n os.chdir('dd')\nopen('big', 'wb').write(bytes(3_000_000))"
    )
    subprocess.run([sys.executable, "-c", nest], cwd=ws.root, check=True)
    try:
        assert ws.size_bytes() > 3_000_000
    finally:
        # Python's own rmtree goes no deeper than its stack.
        subprocess.run(["rm", "-rf", ws.root / "dd"], check=True)


def test_the_size_is_measured_at_most_once_a_second(ws: Workspace) -> None:
    before = ws.size_bytes()
    (ws.root / "big").write_bytes(b"x" * 1_000_000)
    assert ws.size_bytes() == before


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A current folder without settings of the user's own."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("AGENT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    yield tmp_path


def test_the_default_workspace_follows_the_settings(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_WORKSPACE", str(elsewhere / "jail"))
    monkeypatch.setenv("AGENT_WORKSPACE_MAX_GB", "2")
    ws = get_default_workspace()
    assert (ws.root, ws.max_gb) == (elsewhere / "jail", 2.0)


def test_the_public_names_are_those_of_the_seed() -> None:
    assert callable(workspace_module.get_default_workspace)
    for name in ("resolve", "check_resources", "get_resource_stats"):
        assert callable(getattr(Workspace, name))
