"""Run the two processes around a jailed program: the launcher represents it outside, the keeper ends everything it leaves behind.

    daemon ── launcher ── keeper ── program ── its children
              forwards    reaps, kills what is left
              signals

The daemon starts, signals, kills and waits for the launcher only. When the launcher ends, for whatever reason, the keeper ends too, with
everything that the program started, in its own process session or not: in a process namespace the keeper is the first process, elsewhere it
adopts orphans (`PR_SET_CHILD_SUBREAPER`). An interrupt of the launcher reaches the program's process group, as Ctrl-C in a terminal does.
Imported by the launcher, so it needs the standard library only.
"""

from __future__ import annotations

import ctypes
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Iterator
    from typing import NoReturn
else:
    # The public module makes enumerations of these numbers, which would take longer than everything else here.
    import _signal as signal

PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LAST_DESCRIPTOR = 2**31 - 2

_libc = ctypes.CDLL(None, use_errno=True)


def launch(prepare: Callable[[], None], program: Callable[[], NoReturn], attend: Callable[[int], set[int]]) -> NoReturn:
    """Run `program` in a grandchild and exit as it exits.

    In the keeper, `prepare` runs before, and `attend` once the grandchild exists; it returns the descriptors to keep open.
    """
    outcome, outcome_writer, alive, alive_writer = _pipes()
    keeper = os.fork()
    if keeper == 0:
        os.close(outcome)
        os.close(alive_writer)
        _keep(prepare, program, attend, alive, outcome_writer)
    close_descriptors({outcome, alive_writer})
    _stand_for(keeper, outcome)


def launch_through(helper: Callable[[int, int], NoReturn], complete: Callable[[int], None]) -> NoReturn:
    """Do the same where another program makes the keeper: `helper` becomes that program, whose child calls `keep` with two descriptors.

    `complete` is called with the keeper's process id before the keeper continues, to do what the other program could not. Once the keeper
    exists, the other program is killed, so that the keeper becomes a child of this process, as in `launch`.
    """
    outcome, outcome_writer, alive, alive_writer = _pipes()
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    child = os.fork()
    if child == 0:
        die_with_parent()
        for descriptor in (alive, outcome_writer):
            os.set_inheritable(descriptor, True)
        helper(alive, outcome_writer)
    close_descriptors({outcome, alive_writer})
    is_there = os.read(outcome, 1)
    if is_there:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if not is_there:
        _end_like(status)
    keeper = next(_children(os.getpid()))
    complete(keeper)
    os.write(alive_writer, b"\n")
    _stand_for(keeper, outcome)


def keep(
    prepare: Callable[[], None],
    program: Callable[[], NoReturn],
    attend: Callable[[int], set[int]],
    alive: int,
    outcome_writer: int,
) -> NoReturn:
    """Act as the keeper that `launch_through` waits for; this process is the first of a process namespace."""
    for descriptor in (alive, outcome_writer):
        os.set_inheritable(descriptor, False)
    try:
        os.write(outcome_writer, b"\n")
    except BrokenPipeError:
        os._exit(0)
    # Until the answer arrives, the parent is another program, and this process must not end with it.
    if not os.read(alive, 1):
        os._exit(0)
    _keep(prepare, program, attend, alive, outcome_writer)


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """Have the kernel send a signal to this process when its parent ends."""
    _prctl(_PR_SET_PDEATHSIG, number)


def close_descriptors(keep: set[int]) -> None:
    """Close all descriptors except the standard streams and those in `keep`."""
    kept = sorted({0, 1, 2, *keep})
    for here, following in zip(kept, [*kept[1:], _LAST_DESCRIPTOR + 1], strict=True):
        os.closerange(here + 1, following)


def _pipes() -> tuple[int, int, int, int]:
    """Ignore signals until they can be forwarded; return the pipes between launcher and keeper.

    The order is: outcome, outcome_writer, alive, alive_writer.
    """
    for number in PASSED_ON:
        signal.signal(number, signal.SIG_IGN)
    return *os.pipe(), *os.pipe()


def _stand_for(keeper: int, outcome: int) -> NoReturn:
    """Forward signals to the keeper, and exit with the program's status as the keeper reports it."""
    _pass_on(lambda number: os.kill(keeper, number))
    _, keeper_status = os.waitpid(keeper, 0)
    reported = os.read(outcome, 16)
    _end_like(int(reported) if reported else keeper_status)


def _keep(
    prepare: Callable[[], None],
    program: Callable[[], NoReturn],
    attend: Callable[[int], set[int]],
    alive: int,
    outcome_writer: int,
) -> NoReturn:
    """Start the program, wait for it, and kill everything that it left behind."""
    os.setsid()
    signal.signal(signal.SIGHUP, lambda *_: _end(status=None, outcome_writer=outcome_writer))
    die_with_parent(signal.SIGHUP if os.getpid() != 1 else signal.SIGKILL)
    _die_if_orphaned(alive)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    prepare()
    payload = os.fork()
    if payload == 0:
        _become(program)
    close_descriptors({alive, outcome_writer, *attend(payload)})
    _pass_on(lambda number: os.killpg(payload, number))
    while True:
        pid, status = os.wait()
        if pid == payload:
            _end(status, outcome_writer)


def _become(program: Callable[[], NoReturn]) -> NoReturn:
    os.setsid()
    die_with_parent()
    for number in (*PASSED_ON, signal.SIGHUP, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    program()


def _end(status: int | None, outcome_writer: int) -> NoReturn:
    if status is not None:
        os.write(outcome_writer, str(status).encode())
    # In a process namespace the kernel kills all other processes with the first one.
    if os.getpid() != 1:
        _end_descendants()
    os._exit(0)


def _end_descendants() -> None:
    """Kill children until there are none: the children of a killed process become children of this one."""
    while True:
        for child in _children(os.getpid()):
            os.kill(child, signal.SIGKILL)
        try:
            os.wait()
        except ChildProcessError:
            return


def _children(parent: int) -> Iterator[int]:
    for name in os.listdir("/proc"):  # noqa: PTH208
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
                after_name = file.read().rpartition(b")")[2].split()
        except OSError:
            continue
        if int(after_name[1]) == parent:
            yield int(name)


def _pass_on(send: Callable[[int], None]) -> None:
    def handler(number: int, _: object) -> None:
        try:
            send(number)
        except ProcessLookupError:
            return

    for number in PASSED_ON:
        signal.signal(number, handler)


def _die_if_orphaned(alive: int) -> None:
    """Exit if the launcher ended before `die_with_parent` took effect; its end of the pipe is closed then."""
    os.set_blocking(alive, False)
    try:
        os.read(alive, 1)
    except BlockingIOError:
        return
    os._exit(0)


def _end_like(status: int) -> NoReturn:
    """Exit as the program did, so that a signal that killed it is reported as a signal."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status))


def _prctl(option: int, argument: int) -> None:
    if _libc.prctl(option, *map(ctypes.c_ulong, (argument, 0, 0, 0))) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
