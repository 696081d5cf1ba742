"""Make the program's socket connections in the keeper, only to sockets in folders that the program may write.

A read-only folder can contain sockets of programs outside (of an ssh agent, of Docker), now or later, and a read-only mount does not prevent
connections to them. Landlock does so from Linux 7.1 on. Before that, the filter of `seccomp` hands each connect(2) to the keeper
(`SECCOMP_RET_USER_NOTIF`). The keeper takes the socket (pidfd_getfd(2)), reads the address from the program's memory, resolves it, and itself
connects the socket to what it resolved, so that nothing the program changes meanwhile has any effect. Numbers are those of
`linux/seccomp.h` and of `system_calls`. Imported by the launcher, so it needs the standard library only.
"""

from __future__ import annotations

import _thread
import ctypes
import errno
import fcntl
import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Sequence
else:
    # The public module makes enumerations of these numbers, which would take longer than everything else here.
    import _signal as signal

_RECEIVE, _SEND, _IS_VALID = 0xC0502100, 0xC0182101, 0x40082102
_NOTIFICATION = struct.Struct("=QIIiIQ6Q")
_ANSWER = struct.Struct("=QqiI")

_PIDFD_OPEN, _PIDFD_GETFD = 434, 438
_SOL_SOCKET, _SO_DOMAIN = 1, 39
_AF_UNIX = 1
_FAMILY_BYTES = 2
_ADDRESS_BYTES = 128
"""The longest address that connect(2) takes."""

_OWN_LINKS = (b"/proc/self/", b"/proc/thread-self/")
_MOST_AT_ONCE = 64
_STACK_BYTES = 256 * 1024

_libc = ctypes.CDLL(None, use_errno=True)


class Meeting:
    """The pipes over which keeper and program agree on who answers connect(2); created before the program's process."""

    def __init__(self) -> None:
        self._questions, self._ask = os.pipe()
        self._answers, self._answer = os.pipe()

    def attend(self, install: Callable[[bool], int | None]) -> None:
        """In the program's process: `install` the filter, with or without handing calls over, and give its listener to the keeper."""
        os.close(self._questions)
        os.close(self._answer)
        listener = install(os.read(self._answers, 1) == b"y")
        if listener is not None:
            os.write(self._ask, str(listener).encode())
            if os.read(self._answers, 1) != b"k":
                raise OSError(errno.EIO, "the keeper does not handle connections")
            os.close(listener)
        os.close(self._ask)
        os.close(self._answers)

    def host(self, program: int, broker: Broker) -> set[int]:
        """In the keeper: have `broker` answer for that process and its children, where the system permits it.

        Returns:
            The descriptors that must stay open.
        """
        os.close(self._ask)
        os.close(self._answers)
        try:
            return self._hosted(program, broker)
        except (OSError, RuntimeError):
            # No thread can be started, or the program cannot be inspected. The program then gets no answer and does not start.
            return set()
        finally:
            os.close(self._questions)
            os.close(self._answer)

    def _hosted(self, program: int, broker: Broker) -> set[int]:
        if not _can_look_into(program, self._answers):
            os.write(self._answer, b"n")
            return set()
        os.write(self._answer, b"y")
        number = os.read(self._questions, 16)
        if not number:
            return set()
        listener = _descriptor_of(program, int(number))
        broker.start(listener)
        os.write(self._answer, b"k")
        return {listener}


class Broker:
    """Answer connect(2) for a program: sockets with a path must be below `folders`; sockets without one need `abstract`."""

    def __init__(self, folders: Sequence[str], *, abstract: bool) -> None:
        self._folders = tuple(os.path.realpath(folder) for folder in folders)
        self._abstract = abstract
        self._lock = _thread.allocate_lock()
        self._under_way = 0
        self._turns: dict[tuple[int, bytes], _Turn] = {}

    def start(self, listener: int) -> None:
        """Answer calls in threads, until the last of the program's processes has ended."""
        _thread.stack_size(_STACK_BYTES)
        _thread.start_new_thread(self._listen, (listener,))

    def _listen(self, listener: int) -> None:
        # Signals must reach the main thread, which forwards them.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while True:
            notification = bytearray(_NOTIFICATION.size)
            try:
                fcntl.ioctl(listener, _RECEIVE, notification)
            except OSError as exc:
                # ENOENT: the caller ended or was interrupted before its call was received.
                if exc.errno in (errno.ENOENT, errno.EINTR):
                    continue
                # Without a listener a call fails; otherwise it would wait for ever.
                os.close(listener)
                return
            number, thread, *_, descriptor, address, length, _, _, _ = _NOTIFICATION.unpack(notification)
            call = _ConnectCall(listener, number, thread, descriptor & 0xFFFFFFFF, address, length & 0xFFFFFFFF)
            if not self._begin(call):
                call.answer(errno.EAGAIN)

    def _begin(self, call: _ConnectCall) -> bool:
        with self._lock:
            if self._under_way >= _MOST_AT_ONCE:
                return False
            self._under_way += 1
        try:
            _thread.start_new_thread(self._serve, (call,))
        except RuntimeError:
            # The limit of processes is reached.
            self._end()
            return False
        return True

    def _end(self) -> None:
        with self._lock:
            self._under_way -= 1

    def _serve(self, call: _ConnectCall) -> None:
        try:
            self._answer(call)
        except OSError as exc:
            call.answer(exc.errno or errno.EPERM)
        except Exception:
            call.answer(errno.EPERM)
        finally:
            self._end()

    def _answer(self, call: _ConnectCall) -> None:
        """Connect, and send the caller the outcome."""
        socket = call.socket()
        try:
            address = call.address()
            which = (os.fstat(socket).st_ino, address)
            turn = self._turn(which)
            try:
                with turn.lock:
                    call.answer(turn.reported(self._connect(call, socket, address)))
            finally:
                self._leave(turn)
        finally:
            os.close(socket)

    def _turn(self, which: tuple[int, bytes]) -> _Turn:
        with self._lock:
            turn = self._turns.setdefault(which, _Turn())
            turn.takers += 1
            return turn

    def _leave(self, turn: _Turn) -> None:
        with self._lock:
            turn.takers -= 1
            idle = [each for each, other in self._turns.items() if not other.takers]
            for each in idle[: max(0, len(self._turns) - _MOST_AT_ONCE)]:
                del self._turns[each]

    def _connect(self, call: _ConnectCall, socket: int, address: bytes) -> int:
        if _domain(socket) != _AF_UNIX or address[:_FAMILY_BYTES] != struct.pack("=H", _AF_UNIX):
            call.check()
            return _connect(socket, address)
        name = address[_FAMILY_BYTES:]
        if name[:1] in (b"", b"\0"):
            call.check()
            return _connect(socket, address) if self._abstract else errno.EPERM
        found = call.open(name.split(b"\0", 1)[0])
        try:
            call.check()
            if not self._is_within(found):
                return errno.EACCES
            return _connect(socket, struct.pack("=H", _AF_UNIX) + b"/proc/self/fd/%d\0" % found)
        finally:
            os.close(found)

    def _is_within(self, found: int) -> bool:
        """Whether the file of a descriptor lies in one of the folders, and not on a read-only mount in it."""
        path = os.readlink(f"/proc/self/fd/{found}")  # noqa: PTH115
        if not any(path.startswith(folder.rstrip("/") + "/") for folder in self._folders):
            return False
        # In another program's mount namespace the same path may be something else.
        is_of_this_world = os.path.samestat(os.lstat(path), os.fstat(found))
        return is_of_this_world and not os.fstatvfs(found).f_flag & os.ST_RDONLY


class _Turn:
    """Run calls with the same socket and address one after the other."""

    def __init__(self) -> None:
        self.lock = _thread.allocate_lock()
        self.takers = 0
        self._last: int | None = None

    def reported(self, error: int) -> int:
        """Return the error number to report to the caller for an outcome.

        A signal can interrupt the caller before it receives the answer that it is connected, even after the answer was sent, and again
        later. The caller then repeats the call, and must not get the error that it is already connected.
        """
        first = {errno.EISCONN: 0, errno.EALREADY: errno.EINPROGRESS}.get(error)
        if first is None or first != self._last:
            self._last = error
        return self._last


class _ConnectCall:
    """A connect(2) that waits for its answer: the calling thread and the arguments."""

    def __init__(self, listener: int, number: int, thread: int, descriptor: int, address: int, length: int) -> None:
        self._listener = listener
        self._number = number
        self._thread = thread
        self._descriptor = descriptor
        self._address = address
        self._length = length

    def socket(self) -> int:
        """Return the caller's socket, as a descriptor of this process."""
        return _descriptor_of(_process_of(self._thread), self._descriptor)

    def address(self) -> bytes:
        """Return the address in the caller's memory, as it is now."""
        if self._length > _ADDRESS_BYTES:
            raise OSError(errno.EINVAL, "the address is too long")
        memory = os.open(f"/proc/{self._thread}/mem", os.O_RDONLY | os.O_CLOEXEC)
        try:
            address = os.pread(memory, self._length, self._address)
        finally:
            os.close(memory)
        if len(address) < self._length:
            raise OSError(errno.EFAULT, "the address is not in memory")
        return address

    def open(self, path: bytes) -> int:
        """Resolve a path of the caller and return an `O_PATH` descriptor of what it leads to."""
        for link in _OWN_LINKS:
            if path.startswith(link):
                path = b"/proc/%d/" % self._thread + path[len(link) :]
        if path.startswith(b"/"):
            return os.open(path, os.O_PATH | os.O_CLOEXEC)
        folder = os.open(f"/proc/{self._thread}/cwd", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return os.open(path, os.O_PATH | os.O_CLOEXEC, dir_fd=folder)
        finally:
            os.close(folder)

    def check(self) -> None:
        """Make sure that the caller still waits, so that what was read by its thread number belongs to it and to no other thread.

        Raises:
            OSError: when it no longer waits.
        """
        fcntl.ioctl(self._listener, _IS_VALID, struct.pack("=Q", self._number))

    def answer(self, error: int) -> bool:
        """End the call with an error number (0 for success); return whether the caller was still waiting."""
        answer = _ANSWER.pack(self._number, 0, -error, 0)
        try:
            fcntl.ioctl(self._listener, _SEND, answer)
        except OSError:
            return False
        return True


def _can_look_into(process: int, descriptor: int) -> bool:
    """Whether this process may take descriptors of another and read its memory; `descriptor` is an open one of that process."""
    try:
        os.close(_descriptor_of(process, descriptor))
        os.close(os.open(f"/proc/{process}/mem", os.O_RDONLY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _descriptor_of(process: int, descriptor: int) -> int:
    handle = _call(_PIDFD_OPEN, ctypes.c_int(process), ctypes.c_uint(0))
    try:
        return _call(_PIDFD_GETFD, ctypes.c_int(handle), ctypes.c_int(descriptor), ctypes.c_uint(0))
    finally:
        os.close(handle)


def _process_of(thread: int) -> int:
    with open(f"/proc/{thread}/status", "rb") as file:  # noqa: PTH123
        for line in file:
            if line.startswith(b"Tgid:"):
                return int(line.split()[1])
    raise OSError(errno.ESRCH, "the caller has ended")


def _domain(socket: int) -> int:
    domain, size = ctypes.c_int(), ctypes.c_uint(ctypes.sizeof(ctypes.c_int))
    if _libc.getsockopt(socket, _SOL_SOCKET, _SO_DOMAIN, ctypes.byref(domain), ctypes.byref(size)) < 0:
        raise OSError(ctypes.get_errno(), "no socket")
    return domain.value


def _connect(socket: int, address: bytes) -> int:
    return ctypes.get_errno() if _libc.connect(socket, address, len(address)) < 0 else 0


def _call(number: int, *arguments: object) -> int:
    result = int(_libc.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
