"""The two processes around a jailed program: one that stands for it outside, and one that lets nothing outlive it.

    daemon ── launcher ── keeper ── program ── its children
              passes      reaps, ends what is left
              signals on

The daemon starts, signals, kills and waits for the launcher alone. When the launcher ends, for whatever reason, so does the keeper with all
that the program started, in sessions of their own or not: in a process namespace the keeper is the first process, elsewhere it adopts
orphans (`PR_SET_CHILD_SUBREAPER`). An interrupt of the launcher reaches the program's process group, as Ctrl-C in a terminal does.
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
    # The public module makes enumerations of these numbers, which would take longer than all else here.
    import _signal as signal

PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LAST_DESCRIPTOR = 2**31 - 2

_libc = ctypes.CDLL(None, use_errno=True)


def launch(prepare: Callable[[], None], program: Callable[[], NoReturn], attend: Callable[[int], set[int]]) -> NoReturn:
    """Run `program` in a grandchild and end as it ends.

    In the keeper `prepare` runs before, and `attend` once the grandchild's process is there: it gives the descriptors that stay open.
    """
    outcome, tell, alive, living = _pipes()
    keeper = os.fork()
    if keeper == 0:
        os.close(outcome)
        os.close(living)
        _keep(prepare, program, attend, alive, tell)
    close_descriptors({outcome, living})
    _stand_for(keeper, outcome)


def launch_through(helper: Callable[[int, int], NoReturn], complete: Callable[[int], None]) -> NoReturn:
    """The same where another program makes the keeper: `helper` becomes that program, whose child calls `keep` with the two descriptors.

    `complete` is given the keeper's process before that goes on, to do what the other program could not. Once the keeper is there the other
    program is ended, so that the keeper becomes this process's child as it would be without.
    """
    outcome, tell, alive, living = _pipes()
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    child = os.fork()
    if child == 0:
        die_with_parent()
        for descriptor in (alive, tell):
            os.set_inheritable(descriptor, True)
        helper(alive, tell)
    close_descriptors({outcome, living})
    is_there = os.read(outcome, 1)
    if is_there:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if not is_there:
        _end_like(status)
    keeper = next(_children(os.getpid()))
    complete(keeper)
    os.write(living, b"\n")
    _stand_for(keeper, outcome)


def keep(
    prepare: Callable[[], None],
    program: Callable[[], NoReturn],
    attend: Callable[[int], set[int]],
    alive: int,
    tell: int,
) -> NoReturn:
    """Be the keeper that `launch_through` waits for; this process is the first of a process namespace."""
    for descriptor in (alive, tell):
        os.set_inheritable(descriptor, False)
    try:
        os.write(tell, b"\n")
    except BrokenPipeError:
        os._exit(0)
    # Until it is answered the parent is another program, with whose end this process shall not end.
    if not os.read(alive, 1):
        os._exit(0)
    _keep(prepare, program, attend, alive, tell)


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """Have the kernel send a signal to this process when its parent ends."""
    _prctl(_PR_SET_PDEATHSIG, number)


def close_descriptors(keep: set[int]) -> None:
    """Close all descriptors but the standard streams and those in `keep`."""
    kept = sorted({0, 1, 2, *keep})
    for here, following in zip(kept, [*kept[1:], _LAST_DESCRIPTOR + 1], strict=True):
        os.closerange(here + 1, following)


def _pipes() -> tuple[int, int, int, int]:
    """The pipes between launcher and keeper (outcome, tell, alive, living), with signals ignored until they can be passed on."""
    for number in PASSED_ON:
        signal.signal(number, signal.SIG_IGN)
    return *os.pipe(), *os.pipe()


def _stand_for(keeper: int, outcome: int) -> NoReturn:
    """Pass signals on to the keeper, and end as it says that the program did."""
    _pass_on(lambda number: os.kill(keeper, number))
    _, keepers_own = os.waitpid(keeper, 0)
    told = os.read(outcome, 16)
    _end_like(int(told) if told else keepers_own)


def _keep(
    prepare: Callable[[], None],
    program: Callable[[], NoReturn],
    attend: Callable[[int], set[int]],
    alive: int,
    tell: int,
) -> NoReturn:
    """Start the program, wait for it, and end everything that it left behind."""
    os.setsid()
    signal.signal(signal.SIGHUP, lambda *_: _end(status=None, tell=tell))
    die_with_parent(signal.SIGHUP if os.getpid() != 1 else signal.SIGKILL)
    _die_if_orphaned(alive)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    prepare()
    payload = os.fork()
    if payload == 0:
        _become(program)
    close_descriptors({alive, tell, *attend(payload)})
    _pass_on(lambda number: os.killpg(payload, number))
    while True:
        pid, status = os.wait()
        if pid == payload:
            _end(status, tell)


def _become(program: Callable[[], NoReturn]) -> NoReturn:
    os.setsid()
    die_with_parent()
    for number in (*PASSED_ON, signal.SIGHUP, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    program()


def _end(status: int | None, tell: int) -> NoReturn:
    if status is not None:
        os.write(tell, str(status).encode())
    # In a process namespace the kernel ends the rest with its first process.
    if os.getpid() != 1:
        _end_descendants()
    os._exit(0)


def _end_descendants() -> None:
    """Kill the children until there are none: the children of each become this process's own."""
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
    """The launcher may have ended before it could be said that this process shall end with it; its end of the pipe is closed then."""
    os.set_blocking(alive, False)
    try:
        os.read(alive, 1)
    except BlockingIOError:
        return
    os._exit(0)


def _end_like(status: int) -> NoReturn:
    """End as the program did, so that a signal that ended it is seen as one."""
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
