"""When SIGINT may raise KeyboardInterrupt: in the user's code, and not while the kernel holds a lock or answers."""

from __future__ import annotations

import signal
import threading
import types

_main_thread = threading.main_thread().ident
_open = False
_held = 0
_pending = False


class UserCode:
    """A block in which SIGINT raises KeyboardInterrupt; one that comes too late for the block is forgotten."""

    def __enter__(self) -> None:
        global _open, _pending
        _pending = False
        _open = True

    def __exit__(self, *exc_info: object) -> None:
        global _open
        _open = False


class HeldInterrupts:
    """A block of the kernel's own, in the middle of the user's code, which SIGINT does not break: it raises at the end."""

    def __enter__(self) -> None:
        global _held
        if threading.get_ident() == _main_thread:
            _held += 1

    def __exit__(self, *exc_info: object) -> None:
        global _held, _pending
        if threading.get_ident() == _main_thread:
            _held -= 1
            if _pending and _open and not _held:
                _pending = False
                raise KeyboardInterrupt


def handle() -> None:
    """Become the handler of SIGINT."""
    signal.signal(signal.SIGINT, _on_sigint)


def _on_sigint(signum: int, frame: types.FrameType | None) -> None:
    global _pending
    if _open and not _held:
        raise KeyboardInterrupt
    _pending = True
