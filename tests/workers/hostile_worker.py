"""A hostile worker: it reports READY, and answers the first request with the message that its argument names."""

from __future__ import annotations

import array
import json
import os
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import Any

from analystd.workers.frames import CHANNEL_FD_VARIABLE, DESCRIPTORS_FD_VARIABLE

channel, descriptors = (
    socket.socket(fileno=int(os.environ[name])) if name in os.environ else socket.socket()
    for name in (CHANNEL_FD_VARIABLE, DESCRIPTORS_FD_VARIABLE)
)


def say(body: bytes, length: int | None = None) -> None:
    channel.sendall(struct.pack(">I", len(body) if length is None else length) + body)


def tell(**message: Any) -> None:
    say(json.dumps(message).encode())


def asked() -> int:
    """The number of the next request."""
    (length,) = struct.unpack(">I", channel.recv(4, socket.MSG_WAITALL))
    number: int = json.loads(channel.recv(length, socket.MSG_WAITALL))["id"]
    return number


def for_ever(do: Callable[[], object]) -> None:
    while True:
        do()


def send_descriptors() -> None:
    for end in (descriptors, channel):
        end.sendmsg([b"\0\0\0\2{}"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))])


def hang_up() -> None:
    channel.shutdown(socket.SHUT_RDWR)
    descriptors.shutdown(socket.SHUT_RDWR)


def part_of_a_frame() -> None:
    say(b'{"id":', 100_000)
    hang_up()


ACTS: dict[str, Callable[[int], object]] = {
    "no JSON": lambda n: say(b"{not json"),
    "no UTF-8": lambda n: say(b'{"id":1,"result":{"a":"\xff"}}'),
    "no object": lambda n: say(b"[1]"),
    "nothing in a frame": lambda n: say(b""),
    "deep nesting": lambda n: say(b'{"id":%d,"result":%b' % (n, b"[" * 1_000_000)),
    "a huge length": lambda n: say(b"", 0xFFFFFFFF),
    "a length over the limit": lambda n: say(b"", 256 * 1024 * 1024 + 1),
    "part of a frame, and the end": lambda n: part_of_a_frame(),
    "no id": lambda n: tell(result={}),
    "an id of another type": lambda n: tell(id=[n], result={}),
    "an id that is a truth value": lambda n: tell(id=True, result={}),
    "an id that is text": lambda n: tell(id=str(n), result={}),
    "an id as long as a book": lambda n: say(b'{"id":%b,"result":{}}' % (b"9" * 4000)),
    "an answer to no call": lambda n: tell(id=n + 1000, result={}),
    "neither result nor error": lambda n: tell(id=n),
    "a result that is no object": lambda n: tell(id=n, result=7),
    "a result that is null": lambda n: tell(id=n, result=None),
    "an error that is no object": lambda n: tell(id=n, error="broken"),
    "an error without kind": lambda n: tell(id=n, error={"message": "broken"}),
    "an error whose message is no text": lambda n: tell(id=n, error={"kind": "workspace", "message": {}}),
    "an event that is no object": lambda n: tell(id=n, event=3),
    "an event of another form": lambda n: tell(id=n, event={"what": 1}),
    "an event whose value is of another type": lambda n: tell(id=n, event={"done": "much"}),
    "an event of 2 MB": lambda n: tell(id=n, event={"done": 0.5, "more": "x" * 2_000_000}),
    "descriptors that nobody asked for": lambda n: send_descriptors(),
    "a closed channel, and a life after it": lambda n: hang_up(),
    "a flood of answers to no call": lambda n: for_ever(lambda: tell(id=n + 1000, result={})),
    "a cancel": lambda n: tell(cancel=n),
    "READY once more": lambda n: tell(ready={}),
}

READY: dict[str, Callable[[], object]] = {
    "READY that is no object": lambda: say(b'{"ready":[1]}'),
    "READY that is too large": lambda: say(b'{"ready":{"a":"%b"}}' % (b"x" * 2_000_000)),
    "an answer instead of READY": lambda: tell(id=1, result={}),
    "no JSON instead of READY": lambda: say(b"READY"),
    "an error that is none": lambda: tell(error=[1]),
    "a huge length instead of READY": lambda: say(b"", 0xFFFFFFFF),
    "nothing but a closed channel": hang_up,
}

if __name__ == "__main__":
    act = sys.argv[1]
    if act in READY:
        READY[act]()
    else:
        tell(ready={})
        if act == "an answer given twice":
            number = asked()
            tell(id=number, result={})
            tell(id=number, result={})
        elif act == "part of a frame, for ever":
            asked()
            say(b'{"id":', 100_000)
        elif act == "reads nothing":
            pass
        else:
            ACTS[act](asked())
    time.sleep(600)
