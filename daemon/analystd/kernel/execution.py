"""Collect the kernel's messages about one piece of running code until its result is complete."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard

from analystd.kernel.base import Execution, Output, RaisedError
from analystd.kernel.inside.output_limits import (
    HEAD_CHARACTERS,
    MAX_DISPLAYS,
    MAX_DISPLAYS_BYTES,
    TAIL_CHARACTERS,
    HeadTail,
    bounded_text,
)
from analystd.kernel.messages import Bundle
from analystd.wire.results import PythonStatus

logger = logging.getLogger(__name__)

OutputHandler = Callable[[Output], None]

_SETTLE_SECONDS = 1.0
_RENEW_SECONDS = 0.1
"""The time for a new connection before the next cell needs it."""
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
_MARK_CHARACTERS = 64
_MAX_MESSAGE_CHARACTERS = 8_000
_MAX_TRACEBACK_CHARACTERS = 128_000
_MAX_NAME_CHARACTERS = 400
_MAX_COUNT = 2**53


@dataclass(frozen=True)
class _Display:
    name: str | None
    """Its display id, which updates refer to."""
    data: dict[str, Any]
    size: int


class Cell:
    """Code sent with the id `message_id`. `finished` is done when the kernel has replied and is idle again, or has ended."""

    def __init__(
        self,
        message_id: str,
        on_output: OutputHandler,
        is_reading: Callable[[], bool] = lambda: False,
        on_silence: Callable[[], None] = lambda: None,
    ) -> None:
        self.message_id = message_id
        self._on_silence = on_silence
        """Called when the kernel has replied but never reported that it is idle: its published messages may no longer arrive."""
        self._is_reading = is_reading
        """Returns whether a large message is being parsed, which may belong to this cell."""
        self.interrupted = False
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._on_output = on_output
        self._texts = {"stdout": _Text(), "stderr": _Text()}
        self._displays: list[_Display] = []
        self._sent_size = 0
        self._result: str | None = None
        self._clear_next = False
        self._cut = False
        self._reply: dict[str, Any] | None = None
        self._idle = False
        self._started = time.monotonic()

    @property
    def answered(self) -> bool:
        """Whether the kernel has sent the reply."""
        return self._reply is not None

    @property
    def asked_exit(self) -> bool:
        """Whether the code called `exit()`: the kernel ends after the reply."""
        payload = (self._reply or {}).get("payload")
        return isinstance(payload, list) and any(
            "ask_exit" in entry.values() for entry in payload if isinstance(entry, dict)
        )

    def published(self, kind: str, content: dict[str, Any], bundle: Bundle | None = None) -> None:
        """Handle a message of the iopub channel; `bundle` is its content if it is a display."""
        if kind == "status" and content.get("execution_state") == "idle":
            self._idle = True
            self._settle()
        elif kind == "clear_output":
            self._clear_next = True
            if not content.get("wait"):
                self._clear()
        elif bundle is not None:
            self._clear_if_due()
            self._take_display(kind, content, bundle)
        elif (output := output_of(kind, content)) is not None:
            self._clear_if_due()
            if output.kind != "display" and (shown := self._texts[output.kind].add(output.text)):
                self._send_output(Output(output.kind, shown))

    def replied(self, content: dict[str, Any]) -> None:
        """Handle the reply of the shell channel."""
        self._reply = content
        self._settle()

    def end(self) -> None:
        """Finish the cell: no more messages will arrive."""
        if not self.finished.done():
            self.finished.set_result(None)

    def execution(self, status: PythonStatus | None = None, error: RaisedError | None = None) -> Execution:
        """Return the outcome of the code; `status` and `error` override what the kernel reported."""
        reply = self._reply or {}
        given = reply.get("analystd")
        details: dict[str, Any] = given if isinstance(given, dict) else {}
        error = error or _raised_error(reply, details)
        count = reply.get("execution_count")
        texts = self._texts.values()
        if not self.answered:
            # The kernel held back the tail of a long text, which is lost with the kernel.
            for text in texts:
                text.broken_off = text.length >= HEAD_CHARACTERS
        return Execution(
            status=status or self._status(reply),
            execution_count=count if is_count(count) else None,
            stdout=self._texts["stdout"].whole(),
            stderr=self._texts["stderr"].whole(),
            result=self._result,
            displays=tuple(display.data for display in self._displays),
            error=error,
            truncated=self._cut or bool(details.get("cut")) or any(text.cut or text.broken_off for text in texts),
            seconds=time.monotonic() - self._started,
        )

    def _status(self, reply: dict[str, Any]) -> PythonStatus:
        if reply.get("status") == "ok":
            return "ok"
        if self.interrupted and reply.get("ename") in ("KeyboardInterrupt", "CancelledError", None):
            return "interrupted"
        return "error"

    def _settle(self) -> None:
        # The reply and the idle status arrive on different sockets; an interrupt at the last moment can suppress the reply.
        if self._idle and self._reply is not None:
            self.end()
        elif not self.finished.done():
            asyncio.get_running_loop().call_later(_SETTLE_SECONDS, self._end_unless_reading)

    def _end_unless_reading(self) -> None:
        if self._is_reading() and not self.finished.done():
            asyncio.get_running_loop().call_later(_SETTLE_SECONDS, self._end_unless_reading)
        elif self._idle or self.finished.done():
            self.end()
        else:
            self._cut = True
            self._on_silence()
            asyncio.get_running_loop().call_later(_RENEW_SECONDS, self.end)

    def _clear_if_due(self) -> None:
        if self._clear_next:
            self._clear()

    def _take_display(self, kind: str, content: dict[str, Any], bundle: Bundle) -> None:
        data = bundle.data
        self._cut |= bundle.cut
        if kind == "execute_result":
            text = data.get("text/plain")
            self._result = text if isinstance(text, str) else None
            if data.keys() <= {"text/plain"}:
                return
        transient = content.get("transient")
        display_id = transient.get("display_id") if isinstance(transient, dict) else None
        display = _Display(display_id, data, bundle.size)
        if kind == "update_display_data":
            displays = [display if shown.name == display_id else shown for shown in self._displays]
        else:
            displays = [*self._displays, display]
        if len(displays) > MAX_DISPLAYS or sum(shown.size for shown in displays) > MAX_DISPLAYS_BYTES:
            self._cut = True
            return
        self._displays = displays
        self._sent_size += display.size
        # An animation clears and draws for ever; the last picture is kept, but clients are not sent gigabytes.
        if self._sent_size <= MAX_DISPLAYS_BYTES:
            self._send_output(Output("display", data=data))

    def _clear(self) -> None:
        self._clear_next = False
        self._texts = {"stdout": _Text(), "stderr": _Text()}
        self._displays = []

    def _send_output(self, output: Output) -> None:
        try:
            self._on_output(output)
        except Exception:
            logger.exception("A handler of outputs failed")


class _Text:
    """A stream's text. The kernel bounds it already; this also holds when the kernel misbehaves."""

    def __init__(self) -> None:
        self._bounds = HeadTail(HEAD_CHARACTERS + TAIL_CHARACTERS + _MARK_CHARACTERS, TAIL_CHARACTERS)
        self.length = 0
        self.broken_off = False
        self._head: list[str] = []
        self._whole: str | None = None

    @property
    def cut(self) -> bool:
        return self._bounds.cut_bytes > 0

    def add(self, text: str) -> str:
        """Add text; return the part of it to show at once."""
        self.length += len(text)
        shown = self._bounds.admit(text)
        if shown:
            self._head.append(shown)
        return shown

    def whole(self) -> str:
        if self._whole is None:
            self._whole = "".join([*self._head, self._bounds.rest()])
        return self._whole


def output_of(kind: str, content: dict[str, Any], bundle: Bundle | None = None) -> Output | None:
    """Return the output in a message of the iopub channel; None if it has none. Never raises, whatever a kernel sends."""
    if kind == "stream":
        name: Literal["stdout", "stderr"] = "stderr" if content.get("name") == "stderr" else "stdout"
        text = content.get("text")
        return Output(name, text) if isinstance(text, str) else None
    return None if bundle is None else Output("display", data=bundle.data)


def plain(text: str) -> str:
    """Return `text` without terminal escape codes."""
    return _ANSI.sub("", text)


def _raised_error(reply: dict[str, Any], details: dict[str, Any]) -> RaisedError | None:
    if reply.get("status") != "error":
        return None
    given = reply.get("traceback")
    lines = "\n".join(line for line in given if isinstance(line, str)) if isinstance(given, list) else ""
    line = details.get("line")
    return RaisedError(
        name=bounded_text(_text_of(reply.get("ename")), _MAX_NAME_CHARACTERS),
        message=_bounded_plain(_text_of(reply.get("evalue")), _MAX_MESSAGE_CHARACTERS),
        traceback=tuple(_bounded_plain(lines, _MAX_TRACEBACK_CHARACTERS).splitlines()),
        line=line if is_count(line) else None,
    )


def _text_of(value: object) -> str:
    return value if isinstance(value, str) else ""


def _bounded_plain(text: str, limit: int) -> str:
    """Return `plain` text of at most `limit` characters. Very long text is cut before it is searched for escape codes."""
    return bounded_text(plain(bounded_text(text, 4 * limit)), limit)


def is_count(value: object) -> TypeGuard[int]:
    """Return whether a value from a kernel is a valid line or cell number."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_COUNT
