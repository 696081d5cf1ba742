"""The JSON Schemas of all that is ours on the wire, as `docs/schema/` has them: `python -m analystd.server.schema_export FOLDER` writes them.

Arguments are held to the very objects that are named here; results and events come from `protocol.py` and `protocol_answers.py`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NotRequired, get_origin, get_type_hints

from analystd.server.handlers import agent, daemon, python, quarantine, runs, views
from analystd.server.handshake import HELLO
from analystd.server.uris import OPTIONS
from analystd.tools import files
from analystd.wire import protocol, protocol_answers
from analystd.wire.protocol import CUT_KEYS, EVENT_KEYS, Command, Event, EventKind
from analystd.wire.schemas import Schema, SchemaMaker, object_schema, schema_of

ARGUMENTS: dict[Command, Mapping[str, Any]] = {
    Command.RUN_AGENT: agent.RUN_AGENT,
    Command.START_AGENT: agent.RUN_AGENT,
    Command.EXEC_PYTHON: python.EXEC_PYTHON,
    Command.START_PYTHON: python.EXEC_PYTHON,
    Command.VIEW_DATA: views.VIEW_DATA,
    Command.LIST_FILES: files.LIST_FILES.parameters,
    Command.READ_FILE: files.READ_FILE.parameters,
    Command.WRITE_FILE: files.WRITE_FILE.parameters,
    Command.RESET_SESSION: python.ONE_SESSION,
    Command.INTERRUPT: python.ONE_SESSION,
    Command.VARIABLES: python.ONE_SESSION,
    Command.CANCEL_RUN: runs.ONE_RUN,
    Command.LIST_RUNS: runs.LIST_RUNS,
    Command.GET_RUN: runs.GET_RUN,
    Command.EVENTS: runs.EVENTS,
    Command.SUBSCRIBE: runs.SUBSCRIBE,
    Command.LIST_QUARANTINE: quarantine.LIST_QUARANTINE,
    Command.RESTORE_QUARANTINE: quarantine.RESTORE_QUARANTINE,
    Command.DISCARD_QUARANTINE: quarantine.DISCARD_QUARANTINE,
    Command.STATUS: daemon.STATUS,
    Command.SHUTDOWN: daemon.SHUTDOWN,
}

RESULTS: dict[Command, type] = {
    Command.RUN_AGENT: protocol.AgentResult,
    Command.START_AGENT: protocol.RunSummary,
    Command.EXEC_PYTHON: protocol.PythonResult,
    Command.START_PYTHON: protocol.RunSummary,
    Command.VIEW_DATA: protocol.ViewResult,
    Command.LIST_FILES: protocol_answers.FileListing,
    Command.READ_FILE: protocol_answers.FileText,
    Command.WRITE_FILE: protocol.WriteResult,
    Command.RESET_SESSION: protocol_answers.SessionState,
    Command.INTERRUPT: protocol_answers.SessionState,
    Command.VARIABLES: protocol_answers.SessionVariables,
    Command.CANCEL_RUN: protocol_answers.CancelResult,
    Command.LIST_RUNS: protocol_answers.RunList,
    Command.GET_RUN: protocol_answers.RunStory,
    Command.EVENTS: protocol.EventPage,
    Command.SUBSCRIBE: protocol_answers.SubscribeResult,
    Command.LIST_QUARANTINE: protocol_answers.QuarantineList,
    Command.RESTORE_QUARANTINE: protocol_answers.RestoreResult,
    Command.DISCARD_QUARANTINE: protocol_answers.RestoreResult,
    Command.STATUS: protocol_answers.DaemonStatus,
    Command.SHUTDOWN: protocol_answers.ShutdownResult,
}

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def published() -> dict[str, Schema]:
    """Every schema by the name of its file, without `.json`."""
    return {name: {"$schema": _DIALECT, "title": name, **schema} for name, schema in _schemas()}


def write(folder: Path) -> None:
    """Write the schemas to a folder, and remove those that are there and are none any more."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.json"):
        path.unlink()
    for name, schema in published().items():
        (folder / f"{name}.json").write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n")


def _schemas() -> Iterator[tuple[str, Schema]]:
    for command, arguments in ARGUMENTS.items():
        name = command.removeprefix("analystd.")
        yield f"{name}.arguments", dict(arguments)
        yield f"{name}.result", _schema(RESULTS[command])
    yield "event", {"$ref": "#/$defs/Event", "$defs": _with_event_kinds(SchemaMaker())}
    yield "snapshot", _schema(protocol.Snapshot)
    yield "error.data", _schema(protocol_answers.ErrorData)
    yield "hello.params", dict(HELLO)
    yield "hello.result", _schema(protocol_answers.HelloResult)
    yield "initialize.options", dict(OPTIONS)
    yield "initialize.result", _schema(protocol_answers.About)


def _schema(annotation: type) -> Schema:
    schema = schema_of(annotation)
    if "Event" not in schema["$defs"]:
        return schema
    maker = SchemaMaker()
    maker.of(annotation)
    return {**schema, "$defs": _with_event_kinds(maker)}


def _with_event_kinds(maker: SchemaMaker) -> dict[str, Schema]:
    """The definitions of a schema, in which an event is one of its kinds."""
    kinds = {kind.value: _event_schema(kind, maker) for kind in EventKind}
    event: Schema = {
        "description": "One line of the journal.",
        "oneOf": [{"$ref": f"#/$defs/{kind}"} for kind in kinds],
    }
    return dict(sorted({**maker.definitions, **kinds, "Event": event}.items()))


def _event_schema(kind: EventKind, maker: SchemaMaker) -> Schema:
    """The keys that events of a kind have, of the types that `Event` gives them."""
    hints = get_type_hints(Event)
    keys = EVENT_KEYS[kind]
    always = [*_common_keys(), *keys.always]
    members = {name: maker.of(hints[name]) for name in (*always, *keys.sometimes, *CUT_KEYS)}
    return object_schema({**members, "kind": {"const": kind.value}}, always)


def _common_keys() -> list[str]:
    """The keys that all events have."""
    hints = get_type_hints(Event, include_extras=True)
    return [name for name, hint in hints.items() if get_origin(hint) is not NotRequired]


if __name__ == "__main__":
    write(Path(sys.argv[1]))
