"""No file gets the right to be run as its owner: it would have it outside too, for everybody."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from tests.jail.conftest import Jail

WAYS = {
    "chmod": "os.chmod('file', bits | 0o755)",
    "fchmod": "os.fchmod(file, bits | 0o755)",
    "fchmodat": "syscall(268 if x86 else 53, -100, b'file', bits | 0o755)",
    "fchmodat2": "syscall(452, -100, b'file', bits | 0o755, 0)",
    "open": "os.open('opened', os.O_CREAT | os.O_WRONLY, bits | 0o755)",
    "the old open": "syscall(2, b'made', os.O_CREAT | os.O_WRONLY, bits | 0o755) if x86 else refuse()",
    "openat2": "syscall(437, -100, b'made', ctypes.create_string_buffer(struct.pack('3Q', os.O_CREAT | 1, bits | 0o755, 0)), 24)",
    "creat": "syscall(85, b'made', bits | 0o755) if x86 else refuse()",
    "a file without a name": "os.open('.', os.O_TMPFILE | os.O_WRONLY, bits | 0o755)",
    "mknod": "os.mknod('node', stat.S_IFREG | bits | 0o755)",
    "mknodat": "syscall(259 if x86 else 33, -100, b'node2', stat.S_IFREG | bits | 0o755, 0)",
    "mkdir": "os.mkdir('folder', bits | 0o755)",
    "mkdirat": "os.mkdir('folder', bits | 0o755, dir_fd=os.open('.', os.O_RDONLY))",
    "modes with further bits": "syscall(90 if x86 else 53, *(() if x86 else (-100,)), b'file', 0xFFFF0000 | bits | 0o755)",
    "powers of its own": "os.setxattr('file', 'security.capability', struct.pack('<5I', 0x02000001, 1 << 7, 0, 0, 0))",
    "the other numbers of x86": "syscall(0x40000000 + 90, b'file', bits | 0o755) if x86 else refuse()",
}

TRY = """
import ctypes, errno, json, os, stat, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
x86 = os.uname().machine == "x86_64"

def refuse():
    raise OSError(errno.ENOSYS, "there is no such call here")

def syscall(*arguments):
    if libc.syscall(*arguments) < 0:
        raise OSError(ctypes.get_errno(), "syscall")

ways, folder = json.loads(sys.argv[1])
os.chdir(folder)
file = os.open("file", os.O_CREAT | os.O_WRONLY, 0o644)
done = []
for bits in (stat.S_ISUID, stat.S_ISGID, stat.S_ISUID | stat.S_ISGID):
    for name, code in ways.items():
        try:
            exec(code)
            done.append(name)
        except OSError:
            pass
print(json.dumps(done))
"""


def _done(jail: Jail, folder: str) -> list[str]:
    done: list[str] = json.loads(jail.run(sys.executable, "-P", "-c", TRY, json.dumps([WAYS, folder])).stdout)
    return done


@pytest.mark.parametrize("folder", [".", "/dev/shm"])
def test_no_way_of_making_a_file_gives_it_its_owners_rights(jail: Jail, folder: str) -> None:
    assert _done(jail, folder) == []
    made = jail.policy.workspace.iterdir()
    assert [path.name for path in made if path.lstat().st_mode & (stat.S_ISUID | stat.S_ISGID)] == []


def test_the_ways_themselves_lead_there_outside(tmp_path: Path) -> None:
    """A wall that was never run into proves nothing."""
    output = subprocess.check_output([sys.executable, "-c", TRY, json.dumps([WAYS, str(tmp_path)])], text=True)
    assert {"chmod", "fchmod", "fchmodat", "open", "openat2", "mknod", "mknodat"} <= set(json.loads(output))
    assert (tmp_path / "file").stat().st_mode & stat.S_ISUID


def test_all_other_modes_are_still_given(jail: Jail) -> None:
    code = """
import os, shutil, stat
for mode in (0o000, 0o644, 0o755, 0o1777):
    open("file", "w").close(); os.chmod("file", mode); print(oct(stat.S_IMODE(os.stat("file").st_mode)), end=" "); os.unlink("file")
os.mkdir("folder", 0o1777)
os.close(os.open("mine", os.O_CREAT | os.O_WRONLY, 0o700))
# Without O_CREAT the last argument means nothing and may be anything.
os.close(os.open("mine", os.O_RDONLY, 0o7777))
shutil.copytree("folder", "copy"); shutil.copy2("mine", "copy/mine"); shutil.make_archive("all", "gztar", "copy")
shutil.unpack_archive("all.tar.gz", "again", filter="data")
print(sorted(os.listdir("again")))
"""
    assert jail.python(code) == "0o0 0o644 0o755 0o1777 ['mine']\n"


def test_a_shared_folder_still_hands_its_group_on(jail: Jail) -> None:
    """The kernel gives a folder inside one with the set-group-ID bit that bit; no file gets it."""
    jail.policy.workspace.chmod(0o2775)
    code = """
import os, stat, tarfile
os.makedirs("a/b"); open("a/b/file", "w").close()
with tarfile.open("a.tar", "w") as archive:
    archive.add("a")
with tarfile.open("a.tar") as archive:
    archive.extractall("again", filter="data")
print([oct(stat.S_IMODE(os.stat(path).st_mode)) for path in ("a/b", "a/b/file", "again/a/b/file")])
"""
    assert jail.python(code) == "['0o2755', '0o644', '0o644']\n"


def test_git_and_tar_work_inside(jail: Jail) -> None:
    if not (shutil.which("git") and shutil.which("tar")):
        pytest.skip("there is no git or no tar here")
    script = """
set -e; export GIT_CONFIG_NOSYSTEM=1
git init -q project && cd project && echo 1 > file && git add file
git -c user.name=a -c user.email=b@c commit -qm first && cd .. && git clone -q project clone
tar cf all.tar clone && mkdir again && tar xf all.tar -C again
cat again/clone/file
"""
    assert jail.run("/bin/sh", "-c", script).stdout == "1\n"
