"""Start a kernel's process in the sandbox, communicate with it over stdin, and end it with everything that it started."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
import signal
import stat
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Self

from analystd.jail.limits import Breach
from analystd.jail.process_tree import children, is_dead, process_tree
from analystd.jail.watchdog import OnBreach
from analystd.kernel.launch import INSIDE, TOOLBOX, Launch
from analystd.kernel.resource_guard import Guard, ResourceGuard
from analystd.util.remove import remove
from analystd.wire.errors import SessionUnavailableError

logger = logging.getLogger(__name__)

START_SECONDS = 60.0
STOP_SECONDS = 1.0

_READY = b"\x1eREADY\n"
_HEARD = b"\x1eHEARD\n"
_LOG_BYTES_KEPT = 8 * 1024
_KILL_SECONDS = 0.3
_REMOVE_SECONDS = 5.0
_PASS_SECONDS = 0.02
_MOST_PROCESSES = 2048
"""Maximum number of processes per pass: a fork bomb creates more meanwhile, and the pass must end."""
_TOLERATED_PROCESSES = 16
"""A kernel with more zombie children is not kept: they count against its limit."""


class KernelProcess:
    """A kernel's process from its start to its end; `connection` is the connection info for a Jupyter client."""

    def __init__(self, launch: Launch) -> None:
        self.folder = launch.socket_folder()
        self.connection: dict[str, Any] = {
            "transport": "ipc",
            "ip": str(self.folder / "s"),
            **{f"{channel}_port": port for port, channel in enumerate(_CHANNELS, 1)},
            "key": secrets.token_hex(32),
            "signature_scheme": "hmac-sha256",
        }
        loop = asyncio.get_running_loop()
        self._launch = launch
        self._loop = loop
        self._ready: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[int] = loop.create_future()
        self.acknowledged = 0
        """The number of interrupts that the kernel has acknowledged."""
        self._log: deque[bytes] = deque()
        self.on_breach: OnBreach = self._end_for
        """Called when a limit is exceeded. By default, as long as it has no user variables, the process is killed."""
        self._overstepped: Breach | None = None
        self._watch: ResourceGuard | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._pidfd = -1

    @classmethod
    async def start(cls, launch: Launch, preload: Sequence[str] = (), guard: Guard | None = None) -> Self:
        """Start a process and return it when its kernel listens; it imports the modules in `preload` that are installed.

        `guard` watches the process until its end.

        Raises:
            SessionUnavailableError: when no sandbox is available, or the process ended or timed out before it was ready.
        """
        try:
            process = cls(launch)
        except OSError as exc:
            raise SessionUnavailableError(
                f"The folder for a Python session's sockets could not be created: {exc}"
            ) from exc
        try:
            await process._start(preload, guard)
        except OSError as exc:
            await process.aclose()
            raise SessionUnavailableError(f"The Python session could not be started: {exc}") from exc
        except BaseException:
            await process.aclose()
            raise
        return process

    @property
    def pid(self) -> int:
        """The root of the kernel's process tree, in this process namespace."""
        assert self._process is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and not self.ended.done()

    @property
    def watch(self) -> ResourceGuard | None:
        """The guard that watches it."""
        return self._watch

    @property
    def overstepped(self) -> Breach | None:
        """The exceeded limit because of which it was killed, if any."""
        return self._overstepped

    @property
    def has_children(self) -> bool:
        """Whether any process that the kernel started is running."""
        return any(not is_dead(pid) for pid in self._children())

    def send_line(self, line: str) -> None:
        """Send a line to the kernel's stdin."""
        if self._process is None or self._process.stdin is None:
            return
        with contextlib.suppress(OSError):
            os.write(self._process.stdin.fileno(), line.encode() + b"\n")

    def signal_interrupt(self) -> None:
        """Send SIGINT from outside, which reaches C code that keeps the kernel's other threads from running."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGINT)

    def kill(self) -> None:
        """Kill the kernel and everything that it started."""
        if self._process is None or self.ended.done():
            return
        if self._launch.sandbox.level == "none":
            # It adopts its children's orphans, so it is killed last; until then it must not start more.
            os.kill(self.pid, signal.SIGSTOP)
            _kill_all(self.pid)
        elif (keeper := _first_child(self.pid)) is not None:
            if self._launch.sandbox.level == "full":
                # The kernel of the system kills all processes of a namespace with its first one.
                _kill(keeper)
            else:
                _kill_all(keeper)
        # The keeper kills what was missed, once its launcher has ended.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    async def end_children(self, seconds: float) -> bool:
        """Kill everything that the kernel started, but not the kernel; return whether that succeeded in time."""
        deadline = self._loop.time() + seconds
        while self.alive:
            tree = self._children()
            living = [pid for pid in tree if not is_dead(pid)]
            if not living:
                # Only the kernel can reap its zombies, and until then they count as processes.
                return len(tree) <= _TOLERATED_PROCESSES
            if self._loop.time() > deadline:
                break
            for pid in living:
                _kill(pid)
            await asyncio.sleep(_PASS_SECONDS)
        return False

    async def aclose(self) -> None:
        """Stop the kernel in an orderly way if it cooperates, kill it otherwise, and remove its sockets. Harmless when repeated."""
        if self.alive:
            self.send_line("stop")
            await asyncio.wait([self.ended], timeout=STOP_SECONDS)
        self.kill()
        if self._process is not None:
            await self.ended
        if self._watch is not None:
            await self._watch.aclose()
        if self._process is not None:
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None and not stream.closed:
                    self._loop.remove_reader(stream.fileno())
                    with contextlib.suppress(OSError):
                        stream.close()
            if self._launch.trusted is not None:
                await asyncio.to_thread(self._launch.trusted.disarm, self.pid)
        # In a thread, because code may have put many files there.
        for left in await asyncio.to_thread(remove, self.folder, seconds=_REMOVE_SECONDS):
            logger.warning("Could not remove %s", left)

    async def arm(self) -> None:
        """Prepare for untrusted code: seal what appeared since the process started.

        Raises:
            SessionUnavailableError: when sealing fails.
        """
        if self._launch.trusted is None:
            return
        try:
            await asyncio.to_thread(self._launch.trusted.arm, self.pid)
        except OSError as exc:
            raise SessionUnavailableError(
                f"Files that tools outside trust could not be sealed in the session: {exc}"
            ) from exc

    def memory_bytes(self) -> int | None:
        """Return the resident memory of the whole process tree; None when it has ended."""
        if not self.alive:
            return None
        return sum(map(_resident_bytes, process_tree(self.pid, at_most=_MOST_PROCESSES)))

    def last_words(self) -> list[str]:
        """Return the last lines that the process wrote to stdout and stderr: why it did not start, or where it crashed."""
        return b"".join(self._log).decode("utf-8", "replace").splitlines()

    def how_it_ended(self) -> str:
        """Describe the end of the process, as in "was ended by SIGKILL"."""
        if self._overstepped is not None:
            return f"was ended because of a limit ({self._overstepped.message.rstrip('.')})"
        code = self.ended.result()
        number = -code if code < 0 else 256 - code if code > 192 else code - 128
        if code < 0 or code > 128:
            with contextlib.suppress(ValueError):
                return f"was ended by {signal.Signals(number).name}"
        return f"ended with exit status {code}"

    def end_for(self, breach: Breach) -> None:
        """Kill the kernel and everything that it started because of a limit, which `how_it_ended` then reports."""
        if self.alive:
            self._overstepped = breach
            self.kill()

    async def _end_for(self, breach: Breach) -> None:
        self.end_for(breach)

    def _children(self) -> list[int]:
        """Return the processes that the kernel started, including zombies."""
        root, program = self._root_and_program()
        return [pid for pid in process_tree(root, at_most=_MOST_PROCESSES)[1:] if pid != program]

    def _root_and_program(self) -> tuple[int, int]:
        """Return the process that adopts orphans (in a sandbox, the launcher's child) and the one that runs the kernel (its first child)."""
        if self._launch.sandbox.level == "none":
            return self.pid, self.pid
        keeper = _first_child(self.pid) or self.pid
        return keeper, _first_child(keeper) or keeper

    async def _start(self, preload: Sequence[str], guard: Guard | None) -> None:
        policy = self._launch.policy(self.folder)
        for folder in (policy.workspace, policy.runtime):
            _let_in(folder)
        if self._launch.trusted is not None:
            sealed = await asyncio.to_thread(self._launch.trusted.to_seal)
            policy = replace(policy, sealed=(*policy.sealed, *sealed))
        python = self._launch.python or Path(sys.executable)
        self._process = subprocess.Popen(  # noqa: ASYNC220
            self._launch.sandbox.command([str(python), str(INSIDE)], policy),
            env=self._launch.sandbox.environment(policy),
            cwd=self._launch.workspace,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            start_new_session=True,
        )
        self._read(self._process)
        if guard is not None:
            self._watch = guard(self._process.pid, lambda breach: self.on_breach(breach))
        walls = self._launch.walls(policy)
        start = {
            "connection": self.connection,
            "preload": list(preload),
            "toolbox": str(TOOLBOX),
            "walls": walls and asdict(walls),
        }
        self.send_line(json.dumps(start))
        outcomes: list[asyncio.Future[Any]] = [self._ready, self.ended]
        await asyncio.wait(outcomes, timeout=START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if not self._ready.done():
            raise self._not_started(python)

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        self._loop.add_reader(process.stdout.fileno(), self._read_log, process.stdout.fileno())
        self._pidfd = os.pidfd_open(process.pid)
        self._loop.add_reader(self._pidfd, self._on_end, process)

    def _on_end(self, process: subprocess.Popen[bytes]) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        assert process.stdout is not None
        if not process.stdout.closed:
            self._read_log(process.stdout.fileno())
        # Kill what a crash left behind in the group. Its number is not reused before the group is empty.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        self.ended.set_result(process.wait())

    def _read_log(self, descriptor: int) -> None:
        try:
            data = os.read(descriptor, 65536)
        except BlockingIOError:
            return
        if not data:
            self._loop.remove_reader(descriptor)
        if data.endswith(_READY) and not self._ready.done():
            self._ready.set_result(None)
            data = data.removesuffix(_READY)
        self.acknowledged += data.count(_HEARD)
        data = data.replace(_HEARD, b"")
        self._log.append(data[-_LOG_BYTES_KEPT:])
        while sum(map(len, self._log)) > 2 * _LOG_BYTES_KEPT:
            self._log.popleft()

    def _not_started(self, python: Path) -> SessionUnavailableError:
        how = self.how_it_ended() if self.ended.done() else f"was not ready after {START_SECONDS:g} s"
        words = self.last_words()
        logger.error("The kernel %s:\n%s", how, "\n".join(words))
        last = next((line for line in reversed(words) if line.strip()), "")
        hint = None
        if "No module named" in last:
            hint = f"Install ipykernel for {python}, or set AGENT_PYTHON to an interpreter that has it"
        return SessionUnavailableError(f"The Python session {how}" + (f": {last}" if last else ""), hint)


_CHANNELS = ("shell", "iopub", "stdin", "control", "hb")


def _let_in(folder: Path) -> None:
    """Restore the owner's permissions on a folder: code can remove them, and could then not enter its own folder any more."""
    with contextlib.suppress(OSError):
        mode = stat.S_IMODE(folder.stat().st_mode)
        if mode & stat.S_IRWXU != stat.S_IRWXU and folder.stat().st_uid == os.geteuid():
            folder.chmod(mode | stat.S_IRWXU)
            logger.warning("Restored the owner's permissions on %s", folder)


def _kill_all(root: int) -> None:
    """Kill the descendants of `root`, including those started meanwhile."""
    deadline = time.monotonic() + _KILL_SECONDS
    seen: set[int] = set()
    while new := set(process_tree(root, at_most=_MOST_PROCESSES)[1:]) - seen:
        for pid in new:
            _kill(pid)
        seen |= new
        if time.monotonic() > deadline:
            return


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def _first_child(pid: int) -> int | None:
    """Return the oldest child of a process."""
    with contextlib.suppress(OSError):
        return next(iter(children(pid)), None)
    return None


def _resident_bytes(pid: int) -> int:
    with contextlib.suppress(OSError, IndexError, ValueError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0
