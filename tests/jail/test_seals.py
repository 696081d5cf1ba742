"""What is sealed cannot be changed from inside of a jail, by whatever name it is reached, and can outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.jail.conftest import Jail, new_policy, offered_or_skip

from analystd.jail import seals

ATTEMPTS = {
    "write": "open('.git/config', 'a')",
    "write to a file that is sealed itself": "open('sub/.envrc', 'a')",
    "create": "open('.git/hooks', 'x')",
    "make a folder in": "os.mkdir('.git/hooks')",
    "remove": "os.unlink('.git/config')",
    "remove a file that is sealed itself": "os.unlink('sub/.envrc')",
    "rename": "os.rename('.git', 'git')",
    "rename a file that is sealed itself": "os.rename('sub/.envrc', 'envrc')",
    "put another in its place": "os.mkdir('other'); os.rename('other', '.git')",
    "put another file in its place": "open('x', 'w'); os.replace('x', 'sub/.envrc')",
    "exchange": "os.mkdir('third'); exchange('third', '.git')",
    "link out of it": "os.link('.git/config', 'config')",
    "link a file that is sealed itself": "os.link('sub/.envrc', 'envrc')",
    "remove the folder around it": "os.rmdir('sub')",
    "write behind its renamed parent": "os.rename('sub', 'renamed'); open('renamed/.envrc', 'a')",
    "write through a link": "os.symlink('.git', 'way'); open('way/config', 'a')",
    "change its mode": "os.chmod('.git/config', 0o777)",
    "change its times": "os.utime('.git/config')",
    "truncate": "os.truncate('.git/config', 0)",
    "unmount": "call('umount2', b'.git', 2)",
}

ATTEMPT = """
import ctypes, json, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *arguments):
    if getattr(libc, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)
def exchange(one, other):
    call("renameat2", -100, one.encode(), -100, other.encode(), 2)
passed = []
for name, code in json.loads(sys.argv[1]).items():
    try:
        exec(code)
    except OSError:
        continue
    passed.append(name)
print(json.dumps([passed, open('.git/config').read(), os.path.exists('renamed/.envrc')]))
"""


@pytest.fixture(params=["full", "bwrap"])
def jail(request: pytest.FixtureRequest, tmp_path: Path) -> Jail:
    return Jail(offered_or_skip(request.param), new_policy(tmp_path))


def lay_out(workspace: Path) -> tuple[Path, ...]:
    (workspace / ".git").mkdir()
    (workspace / ".git/config").write_text("[core]")
    (workspace / "sub").mkdir()
    (workspace / "sub/.envrc").write_text("export A=1")
    return workspace / ".git", workspace / "sub/.envrc"


def sealing(jail: Jail, *paths: Path) -> Jail:
    return Jail(jail.sandbox, replace(jail.policy, sealed=paths))


def test_what_is_sealed_cannot_be_changed_moved_or_replaced(jail: Jail) -> None:
    sealed = sealing(jail, *lay_out(jail.policy.workspace))
    done = sealed.run(sys.executable, "-P", "-c", ATTEMPT, json.dumps(ATTEMPTS))
    assert done.returncode == 0, done.stderr
    # The parent may be renamed; what is sealed goes with it and stays sealed.
    assert json.loads(done.stdout) == [[], "[core]", True]


def test_attempts_on_what_is_not_sealed_succeed(jail: Jail) -> None:
    lay_out(jail.policy.workspace)
    done = jail.run(sys.executable, "-P", "-c", ATTEMPT, json.dumps({"write": ATTEMPTS["write"]}))
    assert json.loads(done.stdout)[0] == ["write"], done.stderr


def test_what_lies_beside_a_seal_can_be_changed(jail: Jail) -> None:
    sealed = sealing(jail, *lay_out(jail.policy.workspace))
    assert sealed.python("open('sub/new.csv', 'w').write('a'); print(open('sub/new.csv').read())") == "a\n"


def test_a_seal_on_what_is_gone_or_became_a_link_is_passed_over(jail: Jail, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/.git").mkdir()
    (jail.policy.workspace / "way").symlink_to(tmp_path / "outside")
    (jail.policy.workspace / ".idea").symlink_to(tmp_path / "outside")
    workspace = jail.policy.workspace
    sealed = sealing(jail, workspace / "gone", workspace / "way/.git", workspace / ".idea")
    assert (
        sealed.python("import os; print(os.path.exists('way/.git'), os.path.exists('.idea/.git'))") == "False False\n"
    )


def test_the_private_folder_can_be_sealed_too(jail: Jail) -> None:
    kept = jail.policy.runtime / "kept"
    kept.write_text("mine")
    done = sealing(jail, kept).run(sys.executable, "-c", f"open({str(kept)!r}, 'w')")
    assert "Read-only file system" in done.stderr


def test_a_jail_that_lives_is_sealed_from_outside(jail: Jail) -> None:
    workspace = jail.policy.workspace
    code = "import sys, os; print(os.getpid(), flush=True); sys.stdin.readline(); open('.git/config', 'a')"
    with subprocess.Popen(
        jail.sandbox.command([sys.executable, "-c", code], jail.policy),
        env=jail.sandbox.environment(jail.policy),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        lay_out(workspace)
        (workspace / "way").symlink_to("sub")
        keeper = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])
        told = subprocess.run(
            [sys.executable, "-I", "-S", seals.__file__, str(keeper), str(workspace)],
            input=b"\0".join([b".git", b"sub/.envrc", b"way/.envrc", b"gone", b""]),
            capture_output=True,
            check=True,
        )
        assert json.loads(told.stdout) == [".git", "sub/.envrc"]
        _, complaint = process.communicate("go\n", timeout=30)
    assert "Read-only file system" in complaint
    (workspace / ".git/config").write_text("outside it can be changed")
    os.rename(workspace / ".git", workspace / "git")  # noqa: PTH104
