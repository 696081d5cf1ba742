"""Limits of control groups are read as machines and containers have them: of both versions, nested, with paths that begin outside."""

from __future__ import annotations

from pathlib import Path

import pytest

from analystd.jail.cgroups import ControlGroup, GroupUsage, groups_of, memory_usage, task_usage

MACHINE = 64 << 30

# Lines as systemd, Docker and a hybrid machine have them.
ONE = """\
12:pids:/user.slice/a b
4:memory:/user.slice/a b
3:cpu,cpuacct:/
1:name=systemd:/user.slice
"""
BOTH = ONE + "0::/init.scope\n"
TWO = "0::/user.slice/user-1000.slice/app.scope\n"
ELSEWHERE = "0::/../../other\n"
OUTSIDE = "5:memory:/docker/0123\n4:pids:/docker/0123\n"


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    (tmp_path / "proc").mkdir()
    return tmp_path / "proc"


def tell(proc: Path, groups: str, *mounts: tuple[str, str, str, str]) -> None:
    """Write the two files of a process: what groups it is in, and (root, place, kind, options) of what is mounted."""
    (proc / "cgroup").write_text(groups)
    lines = [
        f"3{n} 2 0:{n} {root} {place} rw,nosuid shared:{n} - {kind} none {options}"
        for n, (root, place, kind, options) in enumerate(mounts)
    ]
    (proc / "mountinfo").write_text("\n".join([*lines, "99 2 0:9 / / rw - ext4 /dev/vda rw", ""]))


def put(folder: Path, **files: str | int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(f"{content}\n")


def test_version_2_is_found_with_all_that_it_lies_in(proc: Path, tmp_path: Path) -> None:
    top = tmp_path / "cgroup"
    tell(proc, TWO, ("/", str(top), "cgroup2", "rw"))
    (group,) = groups_of("memory", proc)
    inner = top / "user.slice/user-1000.slice/app.scope"
    assert [each.folder for each in group.outwards()] == [inner, inner.parent, inner.parent.parent, top]
    put(inner, memory__max="max", memory__current=5)
    put(inner.parent, memory__max=1000, memory__current=700, memory__stat="anon 3\ninactive_file 200")
    used = [memory_usage(each, MACHINE) for each in group.outwards()]
    assert used == [None, GroupUsage(1000, 500), None, None]


def test_version_1_is_found_by_its_controller(proc: Path, tmp_path: Path) -> None:
    memory, pids = tmp_path / "memory", tmp_path / "with\\040blank"
    tell(proc, ONE, ("/", str(memory), "cgroup", "rw,memory"), ("/", str(pids), "cgroup", "rw,pids"))
    assert groups_of("memory", proc) == [ControlGroup(1, memory / "user.slice/a b", memory)]
    (group,) = groups_of("pids", proc)
    assert group.folder == tmp_path / "with blank/user.slice/a b"
    put(
        memory / "user.slice/a b",
        memory__limit_in_bytes=2000,
        memory__usage_in_bytes=900,
        memory__stat="total_inactive_file 400",
    )
    assert memory_usage(groups_of("memory", proc)[0], MACHINE) == GroupUsage(2000, 500)
    put(group.folder, pids__max=64, pids__current=60)
    assert task_usage(group) == GroupUsage(64, 60)


def test_without_a_limit_there_is_none(proc: Path, tmp_path: Path) -> None:
    tell(proc, ONE, ("/", str(tmp_path / "memory"), "cgroup", "rw,memory"))
    (group,) = groups_of("memory", proc)
    put(
        group.folder,
        memory__limit_in_bytes=9223372036854771712,
        memory__usage_in_bytes=900,
        pids__max="max",
        pids__current=1,
    )
    assert (memory_usage(group, MACHINE), task_usage(group)) == (None, None)


def test_of_a_machine_that_has_both_versions_both_are_found(proc: Path, tmp_path: Path) -> None:
    mounts = [("/", str(tmp_path / "memory"), "cgroup", "rw,memory"), ("/", str(tmp_path / "unified"), "cgroup2", "rw")]
    tell(proc, BOTH, *mounts)
    found = {group.version: group.folder for group in groups_of("memory", proc)}
    assert found == {1: tmp_path / "memory/user.slice/a b", 2: tmp_path / "unified/init.scope"}


def test_in_a_container_the_path_begins_at_what_is_mounted(proc: Path, tmp_path: Path) -> None:
    top = tmp_path / "memory"
    tell(proc, OUTSIDE, ("/docker/0123", str(top), "cgroup", "rw,memory"))
    assert groups_of("memory", proc) == [ControlGroup(1, top, top)]
    tell(proc, OUTSIDE.replace("0123", "0123/inner"), ("/docker/0123", str(top), "cgroup", "rw,memory"))
    assert groups_of("memory", proc) == [ControlGroup(1, top / "inner", top)]


def test_a_path_that_leads_out_of_the_mount_is_the_mount_itself(proc: Path, tmp_path: Path) -> None:
    tell(proc, ELSEWHERE, ("/", str(tmp_path / "cgroup"), "cgroup2", "rw"))
    assert groups_of("pids", proc) == [ControlGroup(2, tmp_path / "cgroup", tmp_path / "cgroup")]


def test_a_machine_without_groups_has_none(tmp_path: Path) -> None:
    assert groups_of("memory", tmp_path / "nowhere") == []
