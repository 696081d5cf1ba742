"""A jailed program is signalled, ends and is ended through its launcher, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
from tests.jail.conftest import Jail

from analystd.jail.process_tree import process_tree

LEAVES_A_CHILD = """
import os, subprocess, sys, time
hidden = "import os, time; os.setsid(); print('hidden', flush=True); time.sleep(600)"
if os.fork() == 0:
    os.setsid()
    subprocess.Popen([sys.executable, "-c", hidden])
    os._exit(0)
os.wait()
"""


@contextmanager
def running(jail: Jail, code: str) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    process = subprocess.Popen(
        jail.sandbox.command([sys.executable, "-c", code], jail.policy),
        env=jail.sandbox.environment(jail.policy),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    with process:
        try:
            yield process, process.stdout
        finally:
            process.kill()


def test_an_interrupt_of_the_launcher_reaches_the_program_once(jail: Jail) -> None:
    code = """
import time
interrupts = 0
for _ in range(2):
    try:
        print("ready", flush=True)
        time.sleep(1 if interrupts else 60)
    except KeyboardInterrupt:
        interrupts += 1
print(interrupts)
"""
    with running(jail, code) as (process, output):
        assert output.readline() == "ready\n"
        os.killpg(process.pid, signal.SIGINT)
        assert output.read() == "ready\n1\n"
        assert process.wait() == 0


def test_an_interrupt_reaches_what_the_program_waits_for(jail: Jail) -> None:
    code = """
import subprocess
child = subprocess.Popen(["sleep", "60"])
try:
    print("ready", flush=True)
    child.wait()
except KeyboardInterrupt:
    child.wait(timeout=10)
    print("both ended", flush=True)
"""
    with running(jail, code) as (process, output):
        assert output.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        assert output.read() == "both ended\n"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_the_signal_that_ended_the_program_is_seen(jail: Jail, number: signal.Signals) -> None:
    with running(jail, f"import os; os.kill(os.getpid(), {int(number)})") as (process, _):
        assert process.wait(timeout=20) == -number


def test_what_the_program_left_behind_ends_with_it(jail: Jail) -> None:
    with running(jail, LEAVES_A_CHILD + "sys.stdin.read(); time.sleep(0.5)") as (process, output):
        # The pipe closes when the last process that holds it has ended.
        assert output.read() in ("hidden\n", "")
        assert process.wait() == 0


def test_what_the_program_left_behind_ends_when_the_launcher_is_killed(jail: Jail) -> None:
    with running(jail, LEAVES_A_CHILD + "time.sleep(600)") as (process, output):
        assert output.readline() == "hidden\n"
        process.kill()
        assert output.read() == ""


def test_everything_ends_with_the_daemon(jail: Jail) -> None:
    command = jail.sandbox.command([sys.executable, "-c", LEAVES_A_CHILD + "time.sleep(600)"], jail.policy)
    daemon = subprocess.Popen(
        [sys.executable, "-c", f"import subprocess; subprocess.run({command!r})"],
        env=jail.sandbox.environment(jail.policy),
        stdout=subprocess.PIPE,
        text=True,
    )
    with daemon:
        assert daemon.stdout is not None
        assert daemon.stdout.readline() == "hidden\n"
        daemon.kill()
        assert daemon.stdout.read() == ""


def test_the_launcher_has_one_child_and_that_one_the_program(jail: Jail) -> None:
    with running(jail, "import time; print('ready', flush=True); time.sleep(60)") as (process, output):
        assert output.readline() == "ready\n"
        lines = [Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") for pid in process_tree(process.pid)]
    assert [b"time.sleep(60)" in line[2] for line in lines] == [False, False, True]


def test_a_launcher_that_is_killed_while_it_starts_leaves_nothing(jail: Jail) -> None:
    command = jail.sandbox.command(["/bin/sleep", "600"], jail.policy)
    environment = jail.sandbox.environment(jail.policy)
    for milliseconds in range(0, 120, 10):
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        with pytest.raises(subprocess.TimeoutExpired):
            process.communicate(timeout=milliseconds / 1000)
        process.kill()
        # The pipe closes when the last process that holds it has ended.
        assert process.communicate(timeout=20)[0] == b""


def test_a_broken_pipe_ends_a_program_as_in_a_shell(jail: Jail) -> None:
    done = jail.run("/bin/sh", "-c", "yes | head -n 1")
    assert (done.stdout, done.stderr) == ("y\n", "")


def test_it_is_the_program_that_runs_out_of_memory_first(jail: Jail) -> None:
    assert int(jail.python("print(open('/proc/self/oom_score_adj').read())")) == 500
