"""Where this user may have control groups, a session's is a wall that no burst of processes gets over, and it is gone with the session."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from analystd.jail.cgroups import groups_of
from analystd.jail.own_group import OwnGroup

FORK = """
import os, sys
sys.stdin.readline()
count = 0
try:
    while count < 500:
        if os.fork() == 0:
            os.read(0, 1); os._exit(0)
        count += 1
except OSError as exc:
    print(type(exc).__name__, count, flush=True)
else:
    print("no end", flush=True)
sys.stdin.read()
"""


def test_no_more_processes_are_started_than_the_group_may_have(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", FORK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        group = OwnGroup.around(process.pid, memory_bytes=1 << 30, tasks=20)
        if "pids" not in group.folders:
            process.communicate("go\n")
            pytest.skip("this user may not make control groups for processes")
        assert groups_of("pids", Path(f"/proc/{process.pid}"))[0].folder == group.folders["pids"]
        process.stdin.write("go\n")
        process.stdin.flush()
        assert process.stdout.readline() == "BlockingIOError 19\n"
        process.communicate()
    folders = list(group.folders.values())
    group.remove()
    group.remove()
    assert not any(folder.exists() for folder in folders)


def test_where_there_can_be_none_there_is_none_and_nobody_minds() -> None:
    # A process that is not there can be put nowhere.
    process = subprocess.Popen(["true"])
    process.wait()
    group = OwnGroup.around(process.pid, memory_bytes=1 << 30, tasks=20)
    assert group.folders == {}
    group.remove()
