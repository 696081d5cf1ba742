"""Watch folders for new entries with inotify: reported at once, and at no cost while nothing is created."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import select
import struct
import termios
from collections.abc import Callable

MAX_WATCHED = 4096
"""Maximum number of folders to watch: the system has few watches for each user (8,192 on some), and editors need them too."""

_CREATED, _MOVED_HERE, _OVERFLOW, _ENDED, _IS_FOLDER = 0x100, 0x80, 0x4000, 0x8000, 0x40000000
_ONLY_FOLDERS = 0x01000000
_EVENT = struct.Struct("=iIII")
_READ_BYTES = 1 << 16

_libc = ctypes.CDLL(None, use_errno=True)


class FolderWatch:
    """Detect whether an entry of interest appeared in the added folders. Without inotify the watch is never complete."""

    def __init__(self, is_interesting: Callable[[str], bool], most: int = MAX_WATCHED) -> None:
        self.is_complete = True
        """Whether every added folder is watched."""
        self._is_interesting = is_interesting
        self._most = most
        self._watched: set[int] = set()
        self._descriptor = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        if self._descriptor < 0:
            self.is_complete = False

    def add(self, folder: int) -> None:
        """Watch the folder of a descriptor: entries created from now on are reported."""
        if self._descriptor < 0 or not self.is_complete:
            return
        path = f"/proc/self/fd/{folder}".encode()
        number = _libc.inotify_add_watch(self._descriptor, path, ctypes.c_uint(_CREATED | _MOVED_HERE | _ONLY_FOLDERS))
        if number < 0:
            # A folder that no longer exists needs no watch.
            self.is_complete &= ctypes.get_errno() == errno.ENOENT
            return
        self._watched.add(number)
        if len(self._watched) > self._most:
            _libc.inotify_rm_watch(self._descriptor, number)
            self._watched.discard(number)
            self.is_complete = False

    def has_events(self) -> bool:
        """Whether there are events that have not been read; does not block."""
        if self._descriptor < 0:
            return True
        try:
            waiting = fcntl.ioctl(self._descriptor, termios.FIONREAD, b"\0" * 4)
        except OSError:
            return True
        return bool(struct.unpack("=i", waiting)[0])

    def wait(self, seconds: float) -> None:
        """Wait until an entry is created or `wake` is called, for at most `seconds`."""
        descriptors = [each for each in (self._descriptor, self._wake) if each >= 0]
        select.select(descriptors, [], [], seconds)
        try:
            os.eventfd_read(self._wake)
        except BlockingIOError:
            return

    def wake(self) -> None:
        """End a `wait` in another thread."""
        os.eventfd_write(self._wake, 1)

    def read(self) -> bool:
        """Read the events; return whether one is of interest: a matching name, a new folder, or an overflow of the queue."""
        found = False
        while self._descriptor >= 0:
            try:
                data = os.read(self._descriptor, _READ_BYTES)
            except BlockingIOError:
                break
            found |= self._any_interesting(data)
        return found

    def close(self) -> None:
        """Release the watches. Harmless when repeated."""
        for descriptor in (self._descriptor, self._wake):
            if descriptor >= 0:
                os.close(descriptor)
        self._descriptor = self._wake = -1
        self._watched.clear()

    def _any_interesting(self, data: bytes) -> bool:
        found, place = False, 0
        while place < len(data):
            number, mask, _, length = _EVENT.unpack_from(data, place)
            name = data[place + _EVENT.size : place + _EVENT.size + length].rstrip(b"\0")
            place += _EVENT.size + length
            if mask & _ENDED:
                self._watched.discard(number)
            elif mask & (_OVERFLOW | _IS_FOLDER) or (not found and self._is_interesting(os.fsdecode(name))):
                found = True
        return found
