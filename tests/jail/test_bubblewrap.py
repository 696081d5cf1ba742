"""Where the system refuses namespaces to the launcher, `bwrap` makes them from the same plan."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.jail.conftest import offered, offered_or_skip

from analystd.jail import bubblewrap, namespaces
from analystd.jail.sandbox import find_bwrap

MEASURE = """
import asyncio
from analystd.jail.sandbox import measure_sandbox
measured = asyncio.run(measure_sandbox("auto"))
print(measured.level, measured.namespaces, measured.reason, sep="\\n")
"""

REFUSE_THE_LAUNCHER = """
import struct
from analystd.jail import seccomp
instruction = lambda *values: struct.pack("=HBBI", *values)
flags = 0x20000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000
seccomp.install(b"".join([
    instruction(0x20, 0, 0, 0),
    instruction(0x15, 0, 3, 272 if seccomp.own_machine() == "x86_64" else 97),
    instruction(0x20, 0, 0, 16),
    instruction(0x15, 0, 1, flags),
    instruction(0x06, 0, 0, 0x50000 | 13),
    instruction(0x06, 0, 0, 0x7FFF0000),
]))
"""
"""The kernel answers EACCES to the launcher's own unshare(2), whose flags `bwrap` does not use."""


def test_bwrap_is_asked_where_the_launcher_itself_is_refused() -> None:
    offered_or_skip("bwrap")
    answer = subprocess.check_output([sys.executable, "-c", REFUSE_THE_LAUNCHER + MEASURE], text=True)
    assert answer.splitlines() == [
        "full",
        "bwrap",
        "no full sandbox: analystd: the sandbox could not be set up: [Errno 13] no user namespaces: Permission denied; "
        "every wall of level full held in the self-test, in namespaces that bwrap made",
    ]


def test_level_is_partial_and_names_both_reasons_when_both_are_refused() -> None:
    for variant in ("bwrap", "partial"):
        offered_or_skip(variant)
    script = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "sh", "-c", script, "sh", sys.executable, "-c", MEASURE],
        capture_output=True,
        text=True,
    )
    if "max_user_namespaces" in done.stderr:
        pytest.skip(f"namespaces cannot be forbidden here: {done.stderr}")
    level, maker, reason = done.stdout.splitlines()
    assert (level, maker) == ("partial", "own")
    assert "no full sandbox: analystd: the sandbox could not be set up" in reason
    assert "no full sandbox through bwrap: bwrap: " in reason


def test_what_bwrap_lacks_is_told_where_it_is_not_installed() -> None:
    sandbox = offered("full", "bwrap")
    assert (sandbox.level, "through bwrap" in sandbox.reason) in (("full", False), ("none", True))


def test_bwrap_is_told_the_plan_step_by_step(tmp_path: Path) -> None:
    for name in ("lake", "workspace", "state"):
        (tmp_path / name).mkdir()
    (tmp_path / "link").symlink_to("lake")
    link, workspace, lake, state = (str(tmp_path / name) for name in ("link", "workspace", "lake", "state"))
    plan = namespaces.plan(read=[link, str(tmp_path)], write=[workspace], devices=["/dev/null"], hide=[state])
    told = bubblewrap.arguments(plan, workspace)
    temporary = ["--perms", "1777", "--size", "1073741824", "--tmpfs"]
    assert told[told.index("--dev") :] == [
        *("--dev", "/dev"),
        *(*temporary, "/tmp", *temporary, "/dev/shm"),
        *("--ro-bind", str(tmp_path), str(tmp_path)),
        *("--perms", "700", "--tmpfs", state),
        *("--bind", workspace, workspace),
        *("--dev-bind", "/dev/null", "/dev/null"),
        *("--proc", "/proc"),
        *("--remount-ro", "/dev", "--remount-ro", "/"),
        *("--chdir", workspace, "--"),
    ]
    assert namespaces.plan(read=[link], write=[], devices=[], hide=[])[3:-1] == [
        ("link", link, "lake"),
        ("read", lake, ""),
    ]


def test_a_setuid_bwrap_is_passed_over(tmp_path: Path) -> None:
    program = tmp_path / "bwrap"
    program.touch(0o755)
    assert find_bwrap([str(tmp_path)]) == str(program)
    program.chmod(0o4755)
    assert find_bwrap([str(tmp_path)]) is None
