"""The checker of the daemon's messages finds what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.wire_check import Conversation, WireCheck, WireError

from analystd.wire import framing

STATUS = {"command": "analystd.cancelRun", "arguments": [{"run_id": "r"}], "workDoneToken": "t"}
EVENT = {
    "seq": 5,
    "run_id": "r",
    "kind": "text",
    "at": 1.0,
    "client": "c",
    "client_id": "i",
    "session": "main",
    "text": "x",
}


def message(**members: Any) -> bytes:
    return framing.frame({"jsonrpc": "2.0", **members})


def progress(kind: str, **more: Any) -> bytes:
    return message(method="$/progress", params={"token": "t", "value": {"kind": kind, **more}})


def answer(**members: Any) -> bytes:
    return message(id=1, **({"result": {"status": "done"}} | members))


def error(**members: Any) -> bytes:
    return message(id=1, error={"code": 4001, "message": "m", **members})


def conversation() -> Conversation:
    it = Conversation()
    request = {"jsonrpc": "2.0", "id": 1, "method": "workspace/executeCommand", "params": STATUS}
    it.asked(json.dumps(request).encode())
    return it


def test_what_may_be_said_is_said() -> None:
    it = conversation()
    for frame in (
        progress("begin", title="T", cancellable=True),
        message(method="analystd/event", params=EVENT),
        progress("report", message="m"),
        message(method="analystd/event", params={**EVENT, "seq": 6}),
        progress("end"),
        answer(),
        message(method="window/showMessage", params={"type": 2, "message": "m"}),
        message(id=None, error={"code": -32700, "message": "m"}),
    ):
        it.told(frame)


@pytest.mark.parametrize(
    "frames",
    [
        [answer(result={"status": 7})],
        [answer(result={"status": "done", "more": 1})],
        [answer(), answer()],
        [message(id=2, result=None)],
        [message(id=1, result=None, error=None)],
        [message(id=None, result=None)],
        [message(id=1, result={"status": "done"}, more=1)],
        [error(data={"kind": "k"})],
        [error(data={"kind": "k", "run_id": None, "hint": "Traceback (most recent call last)"})],
        [error(code="4001")],
        [progress("report", message="m")],
        [progress("begin", title="T"), answer()],
        [progress("begin", title="T"), progress("begin", title="T")],
        [progress("begin", title="T"), progress("end"), progress("end")],
        [progress("begin")],
        [progress("begin", title="T", message=None)],
        [progress("other")],
        [answer(), progress("begin", title="T")],
        [message(method="analystd/event", params={**EVENT, "text": None})],
        [message(method="analystd/event", params={**EVENT, "kind": "other"})],
        [message(method="analystd/event", params=EVENT), message(method="analystd/event", params=EVENT)],
        [message(method="window/showMessage", params={"type": 2})],
        [message(method="window/showMessage", params={"type": 2, "message": "m", "more": 1})],
        [message(method="no/such", params={})],
        [b"Content-Length: 3\r\n\r\n{}"],
        [framing.frame_body(b'{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"\xed\xa0\x80"}}')],
        [framing.frame_body(b'{"jsonrpc":"2.0","method":"analystd/event","params":NaN}')],
    ],
)
def test_what_may_not_be_said_is_found(frames: list[bytes], tmp_path: Path) -> None:
    request = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "workspace/executeCommand", "params": STATUS}).encode()
    records = [(b"in", request), *((b"out", frame) for frame in frames)]
    lines = (b"%b 1-1 2026-01-01T00:00:00+00:00 %d\n%b\n" % (way, len(data), data) for way, data in records)
    (tmp_path / "1.trace").write_bytes(b"".join(lines))
    with pytest.raises(WireError, match="1 messages of the daemon are wrong"):
        WireCheck(tmp_path).check()
