"""Build and install a seccomp filter that refuses system calls which analyses do not need and which have been used to escape sandboxes.

The filter lists the refused calls and permits all others, because numerical libraries use nearly every other call, and few calls reach what it
must prevent. Its format is that of seccomp(2) and bpf in `linux/filter.h`. Imported by the launcher, so it needs the standard library only.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct

from analystd.jail.system_calls import NUMBERS

_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_KILL = 0x80000000
_HAND_OVER = 0x7FC00000
"""The call waits for the holder of the filter's listener."""

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT = 0, 4, 16
_X32_NUMBERS = 0x40000000

_NEW_NAMESPACES = 0x7E020000
"""CLONE_NEWNS, _NEWCGROUP, _NEWUTS, _NEWIPC, _NEWUSER, _NEWPID and _NEWNET."""

_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK = 1, 2, 10, 16
_SOCK_DGRAM, _SOCK_RAW, _SOCKET_TYPES = 2, 3, 0xF
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_SET_MODE_FILTER = 1
_NEW_LISTENER = 1 << 3
_PR_SET_NO_NEW_PRIVS = 38

_BEHIND_POINTERS = ("clone3", "openat2")
"""Calls whose arguments a filter cannot inspect; programs fall back to calls where it can."""

_SET_ID_BITS = stat.S_ISUID | stat.S_ISGID
_MODE_OF = {
    "chmod": 1,
    "fchmod": 1,
    "fchmodat": 2,
    "fchmodat2": 2,
    "creat": 1,
    "mkdir": 1,
    "mkdirat": 2,
    "mknod": 1,
    "mknodat": 2,
}
"""The index of the argument that is a file's new mode."""
_FLAGS_OF_OPEN = {"open": 1, "openat": 2}
"""The index of the flags argument; the mode follows it."""
_MAKES_A_FILE = os.O_CREAT | (os.O_TMPFILE & ~os.O_DIRECTORY)
"""The flags with which open(2) uses the mode; without them the mode may be anything."""

_libc = ctypes.CDLL(None, use_errno=True)


REFUSED = (
    "move_mount",
    "open_tree",
    "fsopen",
    "fsconfig",
    "fsmount",
    "fspick",
    "mount_setattr",
    "open_tree_attr",
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "pidfd_getfd",
    "process_madvise",
    "quotactl_fd",
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "kcmp",
    "mount",
    "umount2",
    "pivot_root",
    "chroot",
    "unshare",
    "setns",
    "keyctl",
    "add_key",
    "request_key",
    "bpf",
    "perf_event_open",
    "kexec_load",
    "kexec_file_load",
    "init_module",
    "finit_module",
    "delete_module",
    "userfaultfd",
    "open_by_handle_at",
    "reboot",
    "swapon",
    "swapoff",
    "settimeofday",
    "clock_settime",
    "clock_adjtime",
    "sethostname",
    "setdomainname",
    "acct",
    "quotactl",
    "lookup_dcookie",
    "syslog",
    "vhangup",
    "fanotify_init",
    "fanotify_mark",
    "iopl",
    "ioperm",
    "modify_ldt",
    "uselib",
    "_sysctl",
    "nfsservctl",
)
"""Calls refused at every level: other processes' memory, mounts, namespaces, keys, kernel settings, and the kernel's newest or rarest interfaces."""

SHARED_OBJECTS = ("shmget", "shmat", "shmctl", "semget", "msgget", "mq_open")
"""System V objects and message queues are shared with other programs, unless a namespace separates them."""

_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


def build_filter(machine: str, *, isolated: bool, truncate: bool = True, hand_over: bool = False) -> bytes:
    """Return the filter's instructions, 8 bytes each, for an architecture in `NUMBERS`.

    Args:
        machine: The architecture.
        isolated: Whether namespaces separate the network and System V objects, so that those calls are permitted.
        truncate: Whether to permit truncate(2), which early versions of Landlock do not control.
        hand_over: Whether each connect(2) waits for the holder of the filter's listener. Local datagram sockets are refused then: they
            send to a path without connect(2).
    """
    numbers = NUMBERS[machine]
    program = [
        _instruction(_LOAD, _ARCH_AT),
        _instruction(_EQUAL, _AUDIT[machine], 1, 0),
        _instruction(_RETURN, _KILL),
        _instruction(_LOAD, _NUMBER_AT),
    ]
    if machine == "x86_64":
        program += [_instruction(_AT_LEAST, _X32_NUMBERS, 0, 1), _refuse(errno.ENOSYS)]
    refused = (*REFUSED, *(() if isolated else SHARED_OBJECTS), *(() if truncate else ("truncate",)))
    for name in refused:
        if name in numbers:
            program += _when(numbers[name], [_refuse(errno.EPERM)])
    for name in _BEHIND_POINTERS:
        program += _when(numbers[name], [_refuse(errno.ENOSYS)])
    for name, index in _MODE_OF.items():
        if name in numbers:
            program += _when(numbers[name], _no_set_id(index))
    for name, index in _FLAGS_OF_OPEN.items():
        if name in numbers:
            program += _when(numbers[name], _open(index))
    program += _when(numbers["clone"], _clone())
    program += _when(numbers["ioctl"], _ioctl())
    program += _when(numbers["prlimit64"], _prlimit())
    datagrams = _no_local_datagrams() if hand_over else []
    program += _when(numbers["socketpair"], [*datagrams, *_only_families((_AF_UNIX,), errno.EOPNOTSUPP)])
    program += _when(numbers["socket"], [*datagrams, *_socket(isolated)])
    if hand_over:
        program += _when(numbers["connect"], [_instruction(_RETURN, _HAND_OVER)])
    program.append(_instruction(_RETURN, _ALLOW))
    return b"".join(program)


class _Program(ctypes.Structure):
    """`struct sock_fprog` of linux/filter.h."""

    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p)]


def install(program: bytes, *, listener: bool = False) -> int | None:
    """Install a filter for this process and its children, permanently; return the descriptor of its listener if one is requested.

    Raises:
        OSError: when the kernel refuses; no filter is installed then.
    """
    instructions = ctypes.create_string_buffer(program, len(program))
    whole = _Program(len(program) // 8, ctypes.addressof(instructions))
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, *map(ctypes.c_ulong, (1, 0, 0, 0))))
    number = ctypes.c_long(NUMBERS[own_machine()]["seccomp"])
    flags = ctypes.c_ulong(_NEW_LISTENER if listener else 0)
    result = _check(_libc.syscall(number, ctypes.c_ulong(_SET_MODE_FILTER), flags, ctypes.byref(whole)))
    return result if listener else None


def own_machine() -> str:
    """Return the name of this machine's architecture.

    Raises:
        OSError: when there is no table of system calls for it.
    """
    machine = os.uname().machine
    if machine not in NUMBERS:
        raise OSError(errno.ENOSYS, f"no system call table for {machine}")
    return machine


def _instruction(code: int, k: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, k)


def _refuse(code: int) -> bytes:
    return _instruction(_RETURN, _ERRNO | code)


def _when(number: int, block: list[bytes]) -> list[bytes]:
    """Return instructions that run `block` for that system call; `block` must return, or may overwrite the accumulator."""
    allow = _instruction(_RETURN, _ALLOW)
    return [_instruction(_EQUAL, number, 0, len(block) + 1), *block, allow]


def _load_argument(index: int, half: int = 0) -> bytes:
    """Load the low (0) or high (1) half of an argument; both architectures are little-endian."""
    return _instruction(_LOAD, _ARGUMENTS_AT + 8 * index + 4 * half)


def _clone() -> list[bytes]:
    return [_load_argument(0), _instruction(_ANY_BIT, _NEW_NAMESPACES, 0, 1), _refuse(errno.EPERM)]


def _ioctl() -> list[bytes]:
    """Refuse requests that inject input into a terminal; the kernel uses only the low half of the request."""
    return [
        _load_argument(1),
        _instruction(_EQUAL, _TIOCSTI, 1, 0),
        _instruction(_EQUAL, _TIOCLINUX, 0, 1),
        _refuse(errno.EPERM),
    ]


def _no_set_id(mode: int) -> list[bytes]:
    """Refuse the set-user-ID and set-group-ID bits in the argument of that index.

    They have no effect inside, but anybody could run such a file of the workspace outside, with its owner's rights.
    """
    return [_load_argument(mode), _instruction(_ANY_BIT, _SET_ID_BITS, 0, 1), _refuse(errno.EPERM)]


def _open(flags: int) -> list[bytes]:
    """Refuse the same bits for a file that open(2) creates."""
    refuse = _no_set_id(flags + 1)
    return [_load_argument(flags), _instruction(_ANY_BIT, _MAKES_A_FILE, 0, len(refuse)), *refuse]


def _prlimit() -> list[bytes]:
    """Refuse new limits for another process, which Landlock does not control: a processor limit of 0 would end the daemon."""
    return [
        _load_argument(0),
        _instruction(_EQUAL, 0, 5, 0),
        _load_argument(2),
        _instruction(_EQUAL, 0, 0, 2),
        _load_argument(2, half=1),
        _instruction(_EQUAL, 0, 1, 0),
        _refuse(errno.EPERM),
    ]


def _socket(isolated: bool) -> list[bytes]:
    """Permit local sockets, and in a separate network namespace also internet sockets.

    libzmq aborts when it cannot list the network's interfaces, unless the error is EOPNOTSUPP (`ip_resolver.cpp`, `resolve_nic_name`).
    """
    if isolated:
        families = (_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK)
        return _only_families(families, errno.EOPNOTSUPP)
    return [
        _load_argument(0),
        _instruction(_EQUAL, _AF_INET, 1, 0),
        _instruction(_EQUAL, _AF_INET6, 0, 1),
        _refuse(errno.ENETUNREACH),
        *_only_families((_AF_UNIX,), errno.EOPNOTSUPP),
    ]


def _no_local_datagrams() -> list[bytes]:
    return [
        _load_argument(0),
        _instruction(_EQUAL, _AF_UNIX, 0, 5),
        _load_argument(1),
        _instruction(_AND, _SOCKET_TYPES),
        _instruction(_EQUAL, _SOCK_DGRAM, 1, 0),
        _instruction(_EQUAL, _SOCK_RAW, 0, 1),
        _refuse(errno.ESOCKTNOSUPPORT),
    ]


def _only_families(families: tuple[int, ...], code: int) -> list[bytes]:
    """Refuse the first argument unless it is one of `families`."""
    checks = [_instruction(_EQUAL, family, len(families) - position, 0) for position, family in enumerate(families)]
    return [_load_argument(0), *checks, _refuse(code)]


def _check(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
