"""A seccomp filter in pure Python: the system calls that no analysis needs and that walls have fallen to.

The filter names what is refused and lets the rest pass, since numerical libraries call nearly everything else; what it must stop is reached by
few calls. Numbers are those of `asm/unistd_64.h` (x86-64) and `asm-generic/unistd.h` (arm64), the filter's form that of
seccomp(2) and bpf in `linux/filter.h`. Imported by the launcher, so it needs the standard library only.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
from dataclasses import dataclass

_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_KILL = 0x80000000

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT = 0, 4, 16
_X32_NUMBERS = 0x40000000

_NEW_NAMESPACES = 0x7E020000
"""CLONE_NEWNS, _NEWCGROUP, _NEWUTS, _NEWIPC, _NEWUSER, _NEWPID and _NEWNET."""

_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_SET_MODE_FILTER = 1
_PR_SET_NO_NEW_PRIVS = 38

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Architecture:
    """An architecture's audit number and its numbers for the calls that are looked at."""

    audit: int
    refused: dict[str, int]
    sysv: dict[str, int]
    """System V's shared memory and queues, and POSIX message queues: shared with other programs unless a namespace keeps them apart."""
    clone: int
    ioctl: int
    prlimit64: int
    socket: int
    socketpair: int
    truncate: int
    seccomp: int
    x32: bool = False


CLONE3 = 435
_COMMON = {
    "move_mount": 429,
    "open_tree": 428,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "mount_setattr": 442,
    "open_tree_attr": 467,
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "pidfd_getfd": 438,
    "process_madvise": 440,
    "quotactl_fd": 443,
}
"""Since Linux 5.1 a new call has the same number everywhere."""

ARCHITECTURES = {
    "x86_64": Architecture(
        audit=0xC000003E,
        refused=_COMMON
        | {
            "ptrace": 101,
            "process_vm_readv": 310,
            "process_vm_writev": 311,
            "kcmp": 312,
            "mount": 165,
            "umount2": 166,
            "pivot_root": 155,
            "chroot": 161,
            "unshare": 272,
            "setns": 308,
            "keyctl": 250,
            "add_key": 248,
            "request_key": 249,
            "bpf": 321,
            "perf_event_open": 298,
            "kexec_load": 246,
            "kexec_file_load": 320,
            "init_module": 175,
            "finit_module": 313,
            "delete_module": 176,
            "userfaultfd": 323,
            "open_by_handle_at": 304,
            "reboot": 169,
            "swapon": 167,
            "swapoff": 168,
            "settimeofday": 164,
            "clock_settime": 227,
            "clock_adjtime": 305,
            "sethostname": 170,
            "setdomainname": 171,
            "acct": 163,
            "quotactl": 179,
            "lookup_dcookie": 212,
            "syslog": 103,
            "vhangup": 153,
            "fanotify_init": 300,
            "fanotify_mark": 301,
            "iopl": 172,
            "ioperm": 173,
            "modify_ldt": 154,
            "uselib": 134,
            "_sysctl": 156,
            "nfsservctl": 180,
        },
        sysv={"shmget": 29, "shmat": 30, "shmctl": 31, "semget": 64, "msgget": 68, "mq_open": 240},
        clone=56,
        ioctl=16,
        prlimit64=302,
        socket=41,
        socketpair=53,
        truncate=76,
        seccomp=317,
        x32=True,
    ),
    "aarch64": Architecture(
        audit=0xC00000B7,
        refused=_COMMON
        | {
            "ptrace": 117,
            "process_vm_readv": 270,
            "process_vm_writev": 271,
            "kcmp": 272,
            "mount": 40,
            "umount2": 39,
            "pivot_root": 41,
            "chroot": 51,
            "unshare": 97,
            "setns": 268,
            "keyctl": 219,
            "add_key": 217,
            "request_key": 218,
            "bpf": 280,
            "perf_event_open": 241,
            "kexec_load": 104,
            "kexec_file_load": 294,
            "init_module": 105,
            "finit_module": 273,
            "delete_module": 106,
            "userfaultfd": 282,
            "open_by_handle_at": 265,
            "reboot": 142,
            "swapon": 224,
            "swapoff": 225,
            "settimeofday": 170,
            "clock_settime": 112,
            "clock_adjtime": 266,
            "sethostname": 161,
            "setdomainname": 162,
            "acct": 89,
            "quotactl": 60,
            "lookup_dcookie": 18,
            "syslog": 116,
            "vhangup": 58,
            "fanotify_init": 262,
            "fanotify_mark": 263,
            "nfsservctl": 42,
        },
        sysv={"shmget": 194, "shmat": 196, "shmctl": 195, "semget": 190, "msgget": 186, "mq_open": 180},
        clone=220,
        ioctl=29,
        prlimit64=261,
        socket=198,
        socketpair=199,
        truncate=45,
        seccomp=277,
    ),
}


def build_filter(architecture: Architecture, *, isolated: bool, truncate: bool = True) -> bytes:
    """The filter's instructions, 8 bytes each.

    With `isolated`, namespaces keep network and System V objects apart and those calls pass; without `truncate`, truncate(2) is
    refused too, for a Landlock that does not know it yet.
    """
    program = [
        _instruction(_LOAD, _ARCH_AT),
        _instruction(_EQUAL, architecture.audit, 1, 0),
        _instruction(_RETURN, _KILL),
        _instruction(_LOAD, _NUMBER_AT),
    ]
    if architecture.x32:
        program += [_instruction(_AT_LEAST, _X32_NUMBERS, 0, 1), _refuse(errno.ENOSYS)]
    refused = list(architecture.refused.values())
    if not isolated:
        refused += architecture.sysv.values()
    if not truncate:
        refused.append(architecture.truncate)
    for number in refused:
        program += _when(number, [_refuse(errno.EPERM)])
    # glibc falls back to clone, whose flags a filter can see.
    program += _when(CLONE3, [_refuse(errno.ENOSYS)])
    program += _when(architecture.clone, _clone())
    program += _when(architecture.ioctl, _ioctl())
    program += _when(architecture.prlimit64, _prlimit())
    program += _when(architecture.socketpair, _only_families((socket.AF_UNIX,), errno.EOPNOTSUPP))
    program += _when(architecture.socket, _socket(isolated))
    program.append(_instruction(_RETURN, _ALLOW))
    return b"".join(program)


def install(program: bytes) -> None:
    """Put this process and its children under a filter, for ever.

    Raises:
        OSError: when the kernel refuses; nothing is filtered then.
    """
    instructions = ctypes.create_string_buffer(program, len(program))

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p)]

    whole = Program(len(program) // 8, ctypes.addressof(instructions))
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, *map(ctypes.c_ulong, (1, 0, 0, 0))))
    number = ctypes.c_long(own_architecture().seccomp)
    _check(_libc.syscall(number, ctypes.c_ulong(_SET_MODE_FILTER), ctypes.c_ulong(0), ctypes.byref(whole)))


def own_architecture() -> Architecture:
    """The architecture of this machine.

    Raises:
        OSError: when there is no table for it.
    """
    machine = os.uname().machine
    if machine not in ARCHITECTURES:
        raise OSError(errno.ENOSYS, f"no system call table for {machine}")
    return ARCHITECTURES[machine]


def _instruction(code: int, k: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, k)


def _refuse(code: int) -> bytes:
    return _instruction(_RETURN, _ERRNO | code)


def _when(number: int, block: list[bytes]) -> list[bytes]:
    """`block` for that system call; it must end in a return or leave the number out of the accumulator for good."""
    allow = _instruction(_RETURN, _ALLOW)
    return [_instruction(_EQUAL, number, 0, len(block) + 1), *block, allow]


def _load_argument(index: int, half: int = 0) -> bytes:
    """Load the low (0) or high (1) half of an argument; both architectures are little-endian."""
    return _instruction(_LOAD, _ARGUMENTS_AT + 8 * index + 4 * half)


def _clone() -> list[bytes]:
    return [_load_argument(0), _instruction(_ANY_BIT, _NEW_NAMESPACES, 0, 1), _refuse(errno.EPERM)]


def _ioctl() -> list[bytes]:
    """Refuse what types into a terminal; the kernel itself looks at the low half of the request only."""
    return [
        _load_argument(1),
        _instruction(_EQUAL, _TIOCSTI, 1, 0),
        _instruction(_EQUAL, _TIOCLINUX, 0, 1),
        _refuse(errno.EPERM),
    ]


def _prlimit() -> list[bytes]:
    """Refuse new limits for another process, which Landlock does not look at: a processor limit of 0 would end the daemon."""
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
    """Which sockets there are: local ones, and in a network of one's own also the internet's.

    libzmq aborts when it cannot list the network's interfaces, unless the answer is EOPNOTSUPP (`ip_resolver.cpp`, `resolve_nic_name`).
    """
    if isolated:
        families = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK)
        return _only_families(families, errno.EOPNOTSUPP)
    return [
        _load_argument(0),
        _instruction(_EQUAL, socket.AF_INET, 1, 0),
        _instruction(_EQUAL, socket.AF_INET6, 0, 1),
        _refuse(errno.ENETUNREACH),
        *_only_families((socket.AF_UNIX,), errno.EOPNOTSUPP),
    ]


def _only_families(families: tuple[int, ...], code: int) -> list[bytes]:
    """Refuse the first argument unless it is one of `families`."""
    checks = [
        _instruction(_EQUAL, int(family), len(families) - position, 0) for position, family in enumerate(families)
    ]
    return [_load_argument(0), *checks, _refuse(code)]


def _check(result: int) -> None:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
