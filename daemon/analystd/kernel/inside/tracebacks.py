"""Find the cell's line in a traceback, remove uninformative frames, and free the objects that it references."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Iterator
from types import TracebackType

_MAX_FRAMES = 60


def line_in_cell(error: BaseException | None, file_name: str) -> int | None:
    """Return the 1-based line of the cell `file_name` that raised `error`: that of its innermost frame."""
    if isinstance(error, SyntaxError) and error.filename == file_name:
        return error.lineno
    frames = _frames(error.__traceback__ if error is not None else None)
    lines = [frame.tb_lineno for frame in frames if frame.tb_frame.f_code.co_filename == file_name]
    return lines[-1] if lines else None


def without_frames_of(file_name: str, trace: TracebackType | None) -> TracebackType | None:
    """Cut a traceback where the code of `file_name` begins: the signal arrived there, and the rest is its handler."""
    before: TracebackType | None = None
    for frame in _frames(trace):
        if frame.tb_frame.f_code.co_filename == file_name:
            if before is not None:
                before.tb_next = None
            break
        before = frame
    return trace


def without_middle(trace: TracebackType | None) -> TracebackType | None:
    """Limit a traceback to `_MAX_FRAMES` frames: IPython takes three seconds to format the three thousand of an endless recursion."""
    frames = list(_frames(trace))
    if len(frames) > _MAX_FRAMES:
        frames[_MAX_FRAMES // 2].tb_next = frames[-_MAX_FRAMES // 2]
    return trace


def _frames(trace: TracebackType | None) -> Iterator[TracebackType]:
    while trace is not None:
        yield trace
        trace = trace.tb_next


def forget_locals(trace: TracebackType | None) -> None:
    """Free the local variables of the functions in a traceback, which would stay in memory with it."""
    traceback.clear_frames(trace)
    for frame in _frames(trace):
        if frame.tb_frame.f_code.co_flags & inspect.CO_OPTIMIZED:
            # Until Python 3.13 a frame whose variables were read keeps a copy of them; reading again updates the copy.
            _ = frame.tb_frame.f_locals
