"""Build the jail's namespaces: a root folder that contains only the allowed paths, without network or other processes.

The launcher leaves its user, network, process and System V namespaces. The keeper, the first process of the new ones, then builds a root
folder from the visible paths and makes it the only one. The steps are planned first, because `bubblewrap` carries out the same plan. Works
for root, and for ordinary users where the system permits them user namespaces. Flags are those of `linux/sched.h`, `linux/mount.h` and
`linux/if.h`. Imported by the launcher: standard library only.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct

from analystd.jail import fifos, seals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import NoReturn

    Step = tuple[str, str, str]
    """What to do for a path of the new root (READ, WRITE…), the path, and a detail: the target of a LINK, the options of MEMORY."""

READ, WRITE, DEVICE = "read", "write", "device"
"""Mount a path of the system at the same place: read-only, writable, or as a device."""
LINK, MEMORY, TERMINALS, PROCESSES = "link", "memory", "terminals", "processes"
"""Make a symbolic link, an empty folder in memory, a `/dev` with its own terminals, a `/proc` of the new processes."""
SEAL, PIN = "seal", "pin"
"""Make a path inside a writable one read-only; make it writable but not renamable."""
SHUT = "shut"
"""Make a FIFO inside a read-only folder impossible to open."""

_NEW_MOUNTS, _NEW_IPC, _NEW_USERS, _NEW_PROCESSES, _NEW_NETWORK = (
    0x20000,
    0x08000000,
    0x10000000,
    0x20000000,
    0x40000000,
)

_NOSUID, _NODEV, _NOEXEC, _BIND, _REC, _PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18
_DETACH = 2
_MOUNT_SETATTR = 442
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_ATTR_RDONLY, _ATTR_NOSUID, _ATTR_NODEV = 1, 2, 4
_ATTRIBUTES = {READ: _ATTR_RDONLY | _ATTR_NOSUID | _ATTR_NODEV, WRITE: _ATTR_NOSUID | _ATTR_NODEV, DEVICE: _ATTR_NOSUID}
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}

_SIOCSIFFLAGS, _IFF_UP_RUNNING = 0x8914, 0x41
_AF_INET, _SOCK_DGRAM = 2, 2

_TEMPORARY = "mode=1777,size=1073741824"
_TEMPORARY_FOLDERS = ("/tmp", "/dev/shm")
_OWN_FOLDERS = {"/dev", "/proc", "/tmp"}
_LINKS = {
    "/dev/ptmx": "pts/ptmx",
    "/dev/fd": "/proc/self/fd",
    "/dev/stdin": "/proc/self/fd/0",
    "/dev/stdout": "/proc/self/fd/1",
    "/dev/stderr": "/proc/self/fd/2",
}

_libc = ctypes.CDLL(None, use_errno=True)


def leave(folders: Iterable[str]) -> None:
    """Leave the system's namespaces; the next child is the first process of the new ones.

    The new user namespace maps this user and, for root, the owners of `folders`. Files of all other users belong to `nobody`.

    Raises:
        OSError: where the system does not permit this user to create namespaces.
    """
    owners = [os.stat(folder) for folder in folders] if os.geteuid() == 0 else []  # noqa: PTH116
    users = {os.geteuid(), *(owner.st_uid for owner in owners)}
    groups = {os.getegid(), *(owner.st_gid for owner in owners)}
    flags = ctypes.c_int(_NEW_USERS | _NEW_MOUNTS | _NEW_PROCESSES | _NEW_NETWORK | _NEW_IPC)
    if users == {os.geteuid()} and groups == {os.getegid()}:
        _check(_libc.unshare(flags), "no user namespaces")
        _write("/proc/self/setgroups", "deny")
        _map_ids("self", users, groups)
    else:
        _leave_with_help(flags, users, groups)


def plan(
    *,
    read: Iterable[str],
    write: Iterable[str],
    devices: Iterable[str],
    hide: Iterable[str],
    seal: Iterable[str] = (),
    pin: Iterable[str] = (),
) -> list[Step]:
    """Return the steps that build a root of the given paths in their usual places; `hide` overrides `read`, `seal` overrides `write`.

    A missing path is skipped. A link is created anew, and its target is mounted.
    """
    world = _Plan()
    world.steps.append((TERMINALS, "/dev", ""))
    for path in _TEMPORARY_FOLDERS:
        world.cover(path, _TEMPORARY)
    for path in sorted(_without_root(read), key=lambda path: (os.path.realpath(path).count("/"), path)):
        world.show(path, READ)
    for path in hide:
        world.hide(path)
    write = list(write)
    for path in write:
        world.show(path, WRITE)
    world.steps += [*((PIN, path, "") for path in pin), *((SEAL, path, "") for path in seal)]
    # Landlock permits writing in these folders and in everything mounted below, and a read-only mount does not prevent writing to a FIFO.
    for path in world.shown_below(_TEMPORARY_FOLDERS):
        world.steps += [(SHUT, each, "") for each in fifos.find(path, except_below=write)]
    for path in devices:
        world.show(path, DEVICE)
    world.steps.append((PROCESSES, "/proc", ""))
    return world.steps


def build(root: str, steps: Iterable[Step]) -> None:
    """Carry out the steps in the empty folder `root` and make it the root of this mount namespace.

    Raises:
        OSError: naming the mount that was refused.
    """
    _raise_loopback()
    _mount(None, "/", None, _REC | _PRIVATE)
    _mount("tmpfs", root, "tmpfs", _NOSUID | _NODEV, "size=4m,mode=755")
    for kind, path, detail in steps:
        _take(root, kind, path, detail)
    _make_root(root)


class _Plan:
    """The steps so far, and the paths that are visible after them."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._shown: list[str] = []
        self._made: set[str] = set()

    def show(self, path: str, kind: str) -> None:
        """Make `path` and everything below it visible, unless it is to be read-only and is visible already."""
        # A cycle of links leads nowhere, and would be followed for ever.
        if not os.path.exists(path):  # noqa: PTH110
            return
        path = self._follow_links(os.path.normpath(path))
        if kind == READ and self._is_shown(path):
            return
        self.steps.append((kind, path, ""))
        self._shown.append(path)

    def cover(self, path: str, options: str) -> None:
        """Replace `path` by an empty folder in memory."""
        self.steps.append((MEMORY, path, options))
        self._made.add(path)

    def hide(self, path: str) -> None:
        """Cover a folder, if any part of it is visible."""
        path = os.path.realpath(path)
        is_around = any(shown.startswith(path + "/") for shown in self._shown)
        if os.path.isdir(path) and (is_around or self._is_shown(path)):  # noqa: PTH112
            self.cover(path, "mode=700")

    def shown_below(self, folders: Iterable[str]) -> list[str]:
        """Return the read-only paths below any of `folders`."""
        below = tuple(folder + "/" for folder in folders)
        return [path for kind, path, _ in self.steps if kind == READ and path.startswith(below)]

    def _is_shown(self, path: str) -> bool:
        return any(path == shown or path.startswith(shown.rstrip("/") + "/") for shown in self._shown)

    def _follow_links(self, path: str) -> str:
        """Recreate the links on the way to `path`; return the path without links."""
        here = ""
        for part in path.split("/")[1:]:
            step = f"{here}/{part}"
            if os.path.islink(step):  # noqa: PTH114
                target = os.readlink(step)  # noqa: PTH115
                if not self._is_shown(step) and step not in self._made:
                    self.steps.append((LINK, step, target))
                    self._made.add(step)
                step = self._follow_links(os.path.normpath(os.path.join(here or "/", target)))  # noqa: PTH118
            here = step.rstrip("/")
        return here or "/"


def _take(root: str, kind: str, path: str, detail: str) -> None:
    """Carry out one step of a plan."""
    if kind == LINK:
        _link(root + path, detail)
    elif kind == MEMORY:
        _mount("tmpfs", _folder(root + path), "tmpfs", _NOSUID | _NODEV, detail)
    elif kind == TERMINALS:
        options = "newinstance,ptmxmode=0666,mode=620"
        _mount("devpts", _folder(root + path + "/pts"), "devpts", _NOSUID | _NOEXEC, options)
        for name, target in _LINKS.items():
            _link(root + name, target)
    elif kind == PROCESSES:
        _mount("proc", _folder(root + path), "proc", _NOSUID | _NODEV | _NOEXEC)
    elif kind in (SEAL, PIN):
        seals.seal_all(root, [path.lstrip("/")], read_only=kind == SEAL)
    elif kind == SHUT:
        _shut(root + path)
    else:
        place = _folder(root + path) if os.path.isdir(path) else _file(root + path)  # noqa: PTH112
        _mount(path, place, None, _BIND | _REC)
        _set_attributes(place, _ATTRIBUTES[kind])


def _shut(place: str) -> None:
    """Cover a path, if it still exists, with a device that cannot be opened."""
    if os.path.lexists(place):
        _mount("/dev/null", place, None, _BIND)
        _set_attributes(place, _ATTRIBUTES[READ])


def _folder(place: str) -> str:
    os.makedirs(place, exist_ok=True)  # noqa: PTH103
    return place


def _file(place: str) -> str:
    _folder(os.path.dirname(place))  # noqa: PTH120
    if not os.path.exists(place):  # noqa: PTH110
        os.close(os.open(place, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
    return place


def _link(place: str, target: str) -> None:
    _folder(os.path.dirname(place))  # noqa: PTH120
    os.symlink(target, place)  # noqa: PTH211


def _leave_with_help(flags: ctypes.c_int, users: set[int], groups: set[int]) -> None:
    """Leave while mapping other users, which is possible only from outside: a child stays there and waits until this process has left."""
    process, (left, leaving) = os.getpid(), os.pipe()
    helper = os.fork()
    if helper == 0:
        os.close(leaving)
        os.read(left, 1)
        _map_ids_and_end(str(process), users, groups)
    try:
        _check(_libc.unshare(flags), "no user namespaces")
    finally:
        os.close(leaving)
        os.close(left)
        _, failed = os.waitpid(helper, 0)
    if failed:
        # Root in a container may lack the privilege; then files of the other users belong to nobody.
        _write("/proc/self/setgroups", "deny")
        _map_ids("self", {os.geteuid()}, {os.getegid()})


def _map_ids_and_end(process: str, users: set[int], groups: set[int]) -> NoReturn:
    try:
        _map_ids(process, users, groups)
    except OSError:
        os._exit(1)
    os._exit(0)


def _map_ids(process: str, users: set[int], groups: set[int]) -> None:
    _write(f"/proc/{process}/uid_map", "".join(f"{user} {user} 1\n" for user in sorted(users)))
    _write(f"/proc/{process}/gid_map", "".join(f"{group} {group} 1\n" for group in sorted(groups)))


def _write(path: str, content: str) -> None:
    with open(path, "w") as file:  # noqa: PTH123
        file.write(content)


def _without_root(paths: Iterable[str]) -> set[str]:
    """Return the paths with `/` replaced by the folders in it, because the new root itself is built separately."""
    chosen = set(paths)
    if "/" in chosen:
        chosen.remove("/")
        chosen |= {f"/{name}" for name in os.listdir("/")} - _OWN_FOLDERS  # noqa: PTH208
    return chosen


def _make_root(root: str) -> None:
    """Replace the root folder; the old one is no longer reachable afterwards."""
    _set_attributes(root, _ATTR_RDONLY, recursive=False)
    os.chdir(root)
    number = ctypes.c_long(_PIVOT_ROOT[os.uname().machine])
    _check(_libc.syscall(number, b".", b"."), "replacing the root folder")
    _check(_libc.umount2(b".", _DETACH), "unmounting the old root folder")
    os.chdir("/")


def _raise_loopback() -> None:
    """Enable `lo`: programs communicate with themselves over it, as forked children of a kernel do to print."""
    descriptor = _check(_libc.socket(_AF_INET, _SOCK_DGRAM, 0), "socket")
    try:
        fcntl.ioctl(descriptor, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP_RUNNING))
    finally:
        os.close(descriptor)


def _mount(source: str | None, place: str, kind: str | None, flags: int, options: str | None = None) -> None:
    arguments = [None if text is None else os.fsencode(text) for text in (source, place, kind, options)]
    result = _libc.mount(*arguments[:3], ctypes.c_ulong(flags), arguments[3])
    _check(result, f"mount of {source or place}")


def _set_attributes(place: str, attributes: int, *, recursive: bool = True) -> None:
    """Restrict a mount and those below it; unlike a remount this keeps restrictions that exist already."""
    structure = struct.pack("=4Q", attributes, 0, 0, 0)
    flags = _AT_RECURSIVE if recursive else 0
    number, path = ctypes.c_long(_MOUNT_SETATTR), os.fsencode(place)
    size = ctypes.c_size_t(len(structure))
    _check(
        _libc.syscall(number, _AT_FDCWD, path, ctypes.c_uint(flags), structure, size), f"restricting the mount {place}"
    )


def _check(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result
