"""The workspace: the jail's folder, the paths that are inside, and its limits."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from analystd.config.settings import Settings, load_settings
from analystd.jail.openat2 import make_folders_beneath, open_beneath
from analystd.jail.resource_usage import folder_bytes, memory
from analystd.jail.trusted_names import TrustedNames
from analystd.jail.workspace_place import find_workspace
from analystd.wire.errors import ResourceLimitError, WorkspaceError

if TYPE_CHECKING:
    from analystd.jail.trusted_paths import TrustedPaths

GIGABYTE = 1024**3

_PATH_BYTES = 4095
_NAME_BYTES = 255
_TRIES = 3
_SIZE_SECONDS = 1.0
_TOLERATED_BYTES = 8 << 20
_OUTSIDE_HINT = "Set AGENT_READ_ONLY_PATHS to let tools and sessions read a folder outside the workspace"
_TEMPORARY_HINT = (
    "Files that code writes to /tmp or /dev/shm are private to its session and are deleted with it; have it write into the workspace. "
    "Set AGENT_READ_ONLY_PATHS to read a folder of the machine there"
)
MISSING_HINT = "list_files shows what is there"

_T = TypeVar("_T")


class Workspace:
    """One jail. Paths are relative to `root`, or absolute and inside `root` or a read-only path."""

    def __init__(
        self,
        root: Path,
        *,
        protected: Sequence[str] = ("boot", "daemon"),
        read_only_paths: Sequence[Path] = (),
        max_gb: float = 5.0,
        min_free_ram_percent: float = 10.0,
        sealed_names: Sequence[str] = (),
    ) -> None:
        self.root = Path(os.path.realpath(root))
        if not self.root.is_dir():
            raise WorkspaceError(f"The workspace is not a folder: {self.root}")
        self.protected = tuple(protected)
        self.read_only_paths = tuple(Path(os.path.realpath(path)) for path in read_only_paths)
        self.max_gb = max_gb
        self.min_free_ram_percent = min_free_ram_percent
        self._protected = _protected_names(protected)
        self.trusted_names = TrustedNames(sealed_names)
        """The names that tools outside trust, which may not be written here."""
        self.trusted_paths: TrustedPaths | None = None
        """The guard of these names; set only in the daemon, and only if there is a sandbox."""
        self._size = _CachedValue(self._measure)
        self._disk_used = 0
        """The disk usage when the size was measured."""

    @classmethod
    def of_settings(cls, root: Path, settings: Settings) -> Workspace:
        """Return the workspace `root` with the limits and paths of the settings."""
        return cls(
            root,
            protected=settings.protected_dirs,
            read_only_paths=[Path(path).expanduser() for path in settings.read_only_paths],
            max_gb=settings.workspace_max_gb,
            min_free_ram_percent=settings.min_free_ram_percent,
            sealed_names=settings.sealed_names,
        )

    def take_up(self, settings: Settings) -> None:
        """Apply the limits and the protected names of new settings."""
        self.max_gb = settings.workspace_max_gb
        self.min_free_ram_percent = settings.min_free_ram_percent
        self.protected = tuple(settings.protected_dirs)
        self._protected = _protected_names(self.protected)

    def resolve(self, path: str | os.PathLike[str]) -> Path:
        """Return the real path of `path`, with links resolved; it need not exist.

        Raises:
            WorkspaceError: for a protected name anywhere on the way, a path that leaves the workspace, or an invalid path.
        """
        text = _usable(path)
        if not text.startswith("/"):
            self.refuse_protected(text)
        elif Path(text).is_relative_to(self.root):
            self.refuse_protected(os.path.relpath(text, self.root))
        real = Path(os.path.realpath(self.root / text))
        self._home_of(real)
        return real

    def open_read(self, path: str | os.PathLike[str]) -> int:
        """Open the regular file `path` for reading and return its descriptor, which the caller closes.

        Raises:
            WorkspaceError: when it is outside, missing, not a file or not permitted; the message says which.
        """
        descriptor = self._open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
        problem = not_a_file(os.fstat(descriptor).st_mode, path)
        if problem is not None:
            os.close(descriptor)
            raise problem
        return descriptor

    def open_folder(self, path: str | os.PathLike[str]) -> int:
        """Open the folder `path` for listing and return its descriptor, which the caller closes.

        Raises:
            WorkspaceError: when it is outside, missing, not a folder or not permitted; the message says which.
        """
        return self._open(path, os.O_RDONLY | os.O_DIRECTORY)

    def open_parent_for_write(self, path: str | os.PathLike[str]) -> tuple[int, str]:
        """Open the parent folder of `path`, created if missing; return its descriptor and the file's name in it.

        The caller writes a temporary file in that folder and renames it, so that readers see the old file or the new one, and then closes
        the descriptor.

        Raises:
            WorkspaceError: for a path that is outside or read-only, a name that tools outside trust, a name of a folder or device, or when a
                folder cannot be created.
        """

        def attempt() -> tuple[int, str]:
            real = self.resolve(path)
            if self._home_of(real) != self.root:
                raise WorkspaceError(f"Path is read-only: {os.fspath(path)}", "Write inside the workspace")
            if real == self.root or os.fspath(path).endswith("/"):
                raise _folder_error(path)
            self._refuse_trusted(str(real.relative_to(self.root)))
            folder = self._make_folders(real.parent)
            problem = _not_writable(folder, real.name, path)
            if problem is not None:
                os.close(folder)
                raise problem
            return folder, real.name

        return retried(path, attempt)

    def check_resources(self) -> None:
        """Make sure that neither the size limit nor the memory limit is exceeded.

        Raises:
            ResourceLimitError: naming the limit, the measured value and the remedy.
        """
        self.check_size()
        self.check_memory()

    def check_size(self) -> None:
        """Make sure that the workspace does not exceed its size limit.

        Raises:
            ResourceLimitError: naming its size, the limit and the remedy.
        """
        if self.size_bytes() / GIGABYTE > self.max_gb:
            # Measure again: a user who has just deleted files must not be refused because of an old measurement.
            self._size.forget()
        size = self.size_bytes() / GIGABYTE
        if size > self.max_gb:
            raise ResourceLimitError(
                f"The workspace holds {size:.3g} GB; its limit is {self.max_gb:g} GB",
                f"Delete files in {self.root} or raise AGENT_WORKSPACE_MAX_GB",
            )

    def check_memory(self) -> None:
        """Make sure that enough of the machine's memory is free.

        Raises:
            ResourceLimitError: naming the free share, the limit and the remedy.
        """
        free = memory().free_percent
        if free < self.min_free_ram_percent:
            raise ResourceLimitError(
                f"Only {free:.1f}% of the memory is free; at least {self.min_free_ram_percent:g}% must be",
                "Reset sessions, close programs, or lower AGENT_MIN_FREE_RAM_PERCENT",
            )

    def get_resource_stats(self) -> dict[str, float]:
        """Return the size and limit of the workspace in GB (2³⁰ bytes), and used and free memory in percent."""
        free = memory().free_percent
        return {
            "workspace_size_gb": round(self.size_bytes() / GIGABYTE, 3),
            "workspace_limit_gb": self.max_gb,
            "ram_used_percent": round(100.0 - free, 1),
            "ram_free_percent": round(free, 1),
        }

    def size_bytes(self) -> int:
        """Return the size of the workspace on disk.

        The value is at most about a second old, and is measured again when disk usage has grown enough to exceed the limit.
        """
        limit = self.max_gb * GIGABYTE
        tolerated = max(limit - self._size.value(), min(limit / 20, _TOLERATED_BYTES))
        if shutil.disk_usage(self.root).used - self._disk_used > tolerated:
            self._size.forget()
        return self._size.value()

    def forget_size(self) -> None:
        """Discard the cached size, so that the next call measures it again."""
        self._size.forget()

    def __repr__(self) -> str:
        return f"<Workspace {self.root}>"

    def _measure(self) -> int:
        self._disk_used = shutil.disk_usage(self.root).used
        return folder_bytes(self.root)

    def _open(self, path: str | os.PathLike[str], flags: int) -> int:
        def attempt() -> int:
            real = self.resolve(path)
            home = self._home_of(real)
            anchor = home if home.is_dir() else home.parent
            folder = os.open(anchor, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                return open_beneath(folder, str(real.relative_to(anchor)), flags)
            finally:
                os.close(folder)

        return retried(path, attempt)

    def _make_folders(self, parent: Path) -> int:
        root = os.open(self.root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return make_folders_beneath(root, str(parent.relative_to(self.root)))
        finally:
            os.close(root)

    def _home_of(self, real: Path) -> Path:
        """Return the innermost folder that permits `real`: the root or a read-only path."""
        homes = [home for home in (self.root, *self.read_only_paths) if real.is_relative_to(home)]
        if not homes:
            self.refuse_protected(os.path.relpath(real, self.root))
            raise WorkspaceError("Path is outside workspace", _TEMPORARY_HINT if _is_temporary(real) else _OUTSIDE_HINT)
        home = max(homes, key=lambda each: len(each.parts))
        self.refuse_protected(str(real.relative_to(home)))
        return home

    def _refuse_trusted(self, relative: str) -> None:
        if (trusted := self.trusted_names.first_in(relative)) is not None:
            name, group = trusted
            raise WorkspaceError(
                f"'{name}' may not be written from here: {group.title} trust this name, and {group.reason}",
                "Write it yourself, or choose another name.",
            )

    def refuse_protected(self, relative: str) -> None:
        """Refuse a path, relative to the folder that permits it, that contains a protected name.

        Raises:
            WorkspaceError: naming it.
        """
        for part in relative.split("/"):
            name = self._protected.get(part.casefold())
            if name is not None:
                raise WorkspaceError(f"Access to '{name}/' is blocked for safety")


def get_default_workspace() -> Workspace:
    """Return the workspace of the current folder, with the user's settings.

    Raises:
        WorkspaceError: when it does not exist and cannot be created.
    """
    settings = load_settings(os.environ).settings
    return Workspace.of_settings(find_workspace(Path.cwd()), settings)


def _protected_names(names: Sequence[str]) -> dict[str, str]:
    return {name.strip("/").casefold(): name.strip("/") for name in names}


class _CachedValue:
    """Cache a number that is expensive to measure: for a second, or for ten times as long as the measurement took."""

    def __init__(self, measure: Callable[[], int]) -> None:
        self._measure = measure
        self._lock = threading.Lock()
        self._value = 0
        self._good_until = 0.0

    def value(self) -> int:
        with self._lock:
            begun = time.monotonic()
            if begun >= self._good_until:
                self._value = self._measure()
                done = time.monotonic()
                self._good_until = done + max(_SIZE_SECONDS, 10 * (done - begun))
            return self._value

    def forget(self) -> None:
        """Discard the value, so that the next call measures it again."""
        self._good_until = 0.0


def _is_temporary(real: Path) -> bool:
    return any(real.is_relative_to(os.path.realpath(place)) for place in ("/tmp", "/dev/shm"))


def _usable(path: str | os.PathLike[str]) -> str:
    """Return the path as text, if it is valid.

    Raises:
        WorkspaceError: when no file could have this path.
    """
    text = os.fspath(path)
    if not text:
        raise WorkspaceError("The path is empty", "Use '.' for the workspace itself")
    if "\0" in text:
        raise WorkspaceError("The path contains a NUL character")
    try:
        raw = os.fsencode(text)
    except UnicodeEncodeError as exc:
        raise WorkspaceError("The path is not valid UTF-8 text") from exc
    longest = max(raw.split(b"/"), key=len)
    if len(raw) > _PATH_BYTES or len(longest) > _NAME_BYTES:
        raise WorkspaceError(
            f"The path is too long: {len(raw)} bytes, its longest name {len(longest)}; "
            f"the maximum is {_PATH_BYTES} and {_NAME_BYTES}"
        )
    return text


def retried(path: str | os.PathLike[str], attempt: Callable[[], _T]) -> _T:
    """Repeat an attempt to resolve and open a path if a component became a link in between; each attempt checks everything again.

    Raises:
        WorkspaceError: describing an error of the operating system.
    """
    for _ in range(_TRIES):
        try:
            return attempt()
        except OSError as exc:
            error = exc
            if exc.errno not in (errno.ELOOP, errno.EXDEV, errno.EAGAIN):
                break
    raise _open_error(error, path) from error


def _open_error(error: OSError, path: str | os.PathLike[str]) -> WorkspaceError:
    name = os.fspath(path)
    match error.errno:
        case errno.ENOENT:
            return WorkspaceError(f"No such file: {name}", MISSING_HINT)
        case errno.ENOTDIR:
            return WorkspaceError(f"Not a folder: {name}", MISSING_HINT)
        case errno.EACCES | errno.EPERM:
            return WorkspaceError(f"No permission: {name}")
        case errno.ENXIO:
            return WorkspaceError(f"Not a regular file: {name} is a socket or a device")
        case errno.ELOOP | errno.EXDEV:
            return WorkspaceError(f"Links form a loop or keep changing: {name}")
        case _:
            return WorkspaceError(f"Cannot open {name}: {error.strerror}")


def _folder_error(path: str | os.PathLike[str]) -> WorkspaceError:
    return WorkspaceError(f"Is a folder, not a file: {os.fspath(path)}", MISSING_HINT)


def not_a_file(mode: int, path: str | os.PathLike[str]) -> WorkspaceError | None:
    """Return the error for an opened path that is not a regular file; None if it is one."""
    if stat.S_ISREG(mode):
        return None
    if stat.S_ISDIR(mode):
        return _folder_error(path)
    kinds = {stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}
    kind = kinds.get(stat.S_IFMT(mode), "a device")
    return WorkspaceError(f"Not a regular file: {os.fspath(path)} is {kind}")


def _not_writable(folder: int, name: str, path: str | os.PathLike[str]) -> WorkspaceError | None:
    """Return the error if `name` exists and is not a regular file, which must not be replaced; else None."""
    try:
        mode = os.lstat(name, dir_fd=folder).st_mode
    except FileNotFoundError:
        return None
    return not_a_file(mode, path)
