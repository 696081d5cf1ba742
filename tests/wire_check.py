"""Holds all that daemons sent in a test to LSP's structures and to our published schemas: every message, and which may come when.

LSP's meta model itself is in no package that is installed. lsprotocol's classes are generated from it, and the schemas that `lsp_params.py` makes of
them are as strict: every member with its type, range and literal; no member that is not named; null only where the model has it.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import attrs
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from lsprotocol import types

from analystd.server.lsp_params import lsp_schema
from analystd.util.inert_text import message_text
from analystd.wire.jsonrpc import NotAMessageError, message_in
from analystd.wire.names import EVENT_METHOD, SNAPSHOT_METHOD, EventKind

SCHEMAS = Path(__file__).parent.parent / "docs" / "schema"

PROGRESS = {
    "begin": types.WorkDoneProgressBegin,
    "report": types.WorkDoneProgressReport,
    "end": types.WorkDoneProgressEnd,
}


class WireError(AssertionError):
    """The daemon sent what it must not."""


@dataclass
class Conversation:
    """What the checker knows of one connection: the requests under way, and the progress that is told."""

    methods: dict[str | int, str] = field(default_factory=dict)
    commands: dict[str | int, str] = field(default_factory=dict)
    tokens: dict[str | int, str | int] = field(default_factory=dict)
    unanswered: Counter[str | int] = field(default_factory=Counter)
    telling: set[str | int] = field(default_factory=set)
    last_seq: float = 0
    known_seq: float = math.inf
    """The event after which the client asked to be told."""

    def asked(self, body: bytes) -> None:
        """Take in what the client sent; only requests are of interest."""
        try:
            message = message_in(body)
        except NotAMessageError as exc:
            if exc.request_id is not None:
                self.unanswered[exc.request_id] += 1
            return
        if "method" in message and "id" in message:
            self._asked(message["id"], message)

    def told(self, frame: bytes) -> None:
        """Check what the daemon sent.

        Raises:
            WireError: when it is not what it has to be.
        """
        message = _message_of(frame)
        if "method" not in message:
            self._answered(message)
        elif message["method"] == "$/progress":
            self._progress(message["params"])
        elif message["method"] == EVENT_METHOD:
            self._event(message["params"])
        elif message["method"] == SNAPSHOT_METHOD:
            fit(published("snapshot"), message["params"])
            self.last_seq = message["params"]["seq"]
        else:
            fit(of_lsp(types.METHOD_TO_TYPES[message["method"]][0]), message)
            if message["method"] in (types.WINDOW_SHOW_MESSAGE, types.WINDOW_LOG_MESSAGE):
                _require_inert(message["params"]["message"])

    def _asked(self, number: str | int, message: dict[str, Any]) -> None:
        self.unanswered[number] += 1
        if self.unanswered[number] > 1:
            return
        self.methods[number] = message["method"]
        params = message.get("params")
        if isinstance(params, dict):
            if isinstance(params.get("command"), str):
                self.commands[number] = params["command"].removeprefix("analystd.")
            if isinstance(token := params.get("workDoneToken"), str | int):
                self.tokens[number] = token
            options = params.get("initializationOptions")
            if isinstance(options, dict) and type(after := options.get("events_after")) is int:
                self.known_seq = after

    def _answered(self, message: dict[str, Any]) -> None:
        number = message["id"]
        _require(message.keys() in ({"jsonrpc", "id", "result"}, {"jsonrpc", "id", "error"}), "keys of an answer")
        if number is None:
            _require("error" in message, "an answer to nobody is an error")
            self._error("", message["error"])
            return
        _require(self.unanswered[number] > 0, f"the request {number!r} waits for an answer")
        self.unanswered[number] -= 1
        if "error" in message:
            self._error(self.methods.get(number, ""), message["error"])
        else:
            self._result(number, message["result"])
        if not self.unanswered[number]:
            self._forget(number)

    def _error(self, method: str, error: dict[str, Any]) -> None:
        fit(of_lsp(types.ResponseError), error)
        _require("Traceback" not in json.dumps(error), "errors carry no traceback")
        _require_inert(error["message"], (error.get("data") or {}).get("hint"))
        if "data" in error:
            fit(published("error.data"), error["data"])
        if method == types.INITIALIZE and error["code"] > 0:
            fit(of_lsp(types.InitializeError), {"retry": error["data"]["retry"]})

    def _result(self, number: str | int, result: Any) -> None:
        method = self.methods[number]
        if method == types.WORKSPACE_EXECUTE_COMMAND:
            fit(published(f"{self.commands[number]}.result"), result)
            return
        response = types.METHOD_TO_TYPES[method][1]
        assert response is not None
        attrs.resolve_types(response, vars(types))
        result_type: Any = attrs.fields_dict(response)["result"].type
        fit(of_lsp(result_type), result)
        if method == types.INITIALIZE:
            about = result["capabilities"]["experimental"]["analystd"]
            fit(published("initialize.result"), about)
            self.last_seq = min(about.get("seq", 0), self.known_seq)

    def _forget(self, number: str | int) -> None:
        token = self.tokens.pop(number, None)
        _require(token not in self.telling or token in self.tokens.values(), f"the progress {token!r} has an end")
        self.methods.pop(number, None)
        self.commands.pop(number, None)
        del self.unanswered[number]

    def _progress(self, params: dict[str, Any]) -> None:
        fit(of_lsp(types.ProgressParams), params)
        kind, token = params["value"]["kind"], params["token"]
        fit(of_lsp(PROGRESS[kind]), params["value"])
        _require_inert(params["value"].get("title"), params["value"].get("message"))
        _require(token in self.tokens.values(), f"the token {token!r} is that of a request under way")
        _require((token in self.telling) == (kind != "begin"), f"the progress {token!r} may have its {kind} now")
        if kind == "begin":
            self.telling.add(token)
        elif kind == "end":
            self.telling.discard(token)

    def _event(self, event: dict[str, Any]) -> None:
        fit(event_kind(event["kind"]), event)
        _require(event["seq"] > self.last_seq, f"events come in their order, {event['seq']} too")
        self.last_seq = event["seq"]


class WireCheck:
    """Reads the traces (`AGENT_TRACE`) of daemons in a folder, from where it stopped reading."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read: dict[Path, int] = {}
        self._conversations: dict[tuple[Path, bytes], Conversation] = {}
        self.checked = 0

    def check(self) -> None:
        """Check what is new.

        Raises:
            WireError: for all that must not be, with the messages.
        """
        wrong: list[str] = []
        for path in sorted(self.folder.glob("*.trace")):
            for direction, connection, data in self._records(path):
                conversation = self._conversations.setdefault((path, connection), Conversation())
                if direction == b"in":
                    conversation.asked(data)
                    continue
                self.checked += 1
                try:
                    conversation.told(data)
                except (WireError, NotAMessageError, KeyError, TypeError, ValueError) as exc:
                    wrong.append(f"{type(exc).__name__}: {exc}\n  in {data[:2000]!r}")
        if wrong:
            raise WireError(f"{len(wrong)} messages of the daemon are wrong:\n" + "\n".join(wrong[:5]))

    def _records(self, path: Path) -> Iterator[tuple[bytes, bytes, bytes]]:
        with path.open("rb") as file:
            file.seek(self._read.get(path, 0))
            while (head := file.readline()).endswith(b"\n"):
                direction, connection, _, length = head.split()
                data = file.read(int(length))
                if len(data) < int(length) or file.read(1) != b"\n":
                    return
                self._read[path] = file.tell()
                yield direction, connection, data


@cache
def published(name: str) -> Draft202012Validator:
    """What checks against one of the files in `docs/schema/`."""
    schema = json.loads((SCHEMAS / f"{name}.json").read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@cache
def event_kind(kind: str) -> Draft202012Validator:
    """The same for events of one kind, whose misfits are easier to read than those of any kind."""
    schema = json.loads((SCHEMAS / "event.json").read_text())
    return Draft202012Validator({**schema, "$ref": f"#/$defs/{EventKind(kind)}"})


@cache
def of_lsp(annotation: Any) -> Draft202012Validator:
    """What checks against a type of LSP."""
    return Draft202012Validator(lsp_schema(annotation, strict=True))


def fit(validator: Draft202012Validator, value: Any) -> None:
    """Hold a value to a schema.

    Raises:
        WireError: with the place of the misfit.
    """
    misfit = best_match(validator.iter_errors(value))
    if misfit is not None:
        raise WireError(f"{misfit.json_path}: {misfit.message[:500]}")


def _message_of(frame: bytes) -> dict[str, Any]:
    """The one message of a frame, which must be JSON in UTF-8 as any client reads it."""
    header, _, body = frame.partition(b"\r\n\r\n")
    _require(header == b"Content-Length: %d" % len(body), f"the length in {header!r}")
    message = message_in(body)
    fit(_ENVELOPE, message)
    return message


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise WireError(f"does not hold: {what}")


def _require_inert(*texts: str | None) -> None:
    for text in texts:
        _require(text is None or message_text(text) == text, f"what an editor shows is inert, {text!r} too")


_ENVELOPE = Draft202012Validator(
    {
        "properties": {"jsonrpc": {"const": "2.0"}, "method": {}, "params": {}, "id": {}, "result": {}, "error": {}},
        "required": ["jsonrpc"],
        "additionalProperties": False,
    }
)
