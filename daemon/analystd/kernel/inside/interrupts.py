"""Control when SIGINT raises KeyboardInterrupt: in the user's code, but not while the kernel holds a lock or answers."""

from __future__ import annotations

import signal
import threading
import types

_main_thread = threading.main_thread().ident
_open = False
_held = 0
_pending = False


class UserCode:
    """A block in which SIGINT raises KeyboardInterrupt; a signal that arrives after the block is ignored."""

    def __enter__(self) -> None:
        global _open, _pending
        _pending = False
        _open = True

    def __exit__(self, *exc_info: object) -> None:
        global _open
        _open = False


class HeldInterrupts:
    """A block of the kernel's code, called from the user's code, that SIGINT does not interrupt: the exception is raised at its end."""

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
    """Install the handler of SIGINT."""
    signal.signal(signal.SIGINT, _on_sigint)


def _on_sigint(signum: int, frame: types.FrameType | None) -> None:
    global _pending
    if _open and not _held:
        raise KeyboardInterrupt
    _pending = True
