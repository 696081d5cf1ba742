"""The JSON Schemas of all that is ours on the wire, as `docs/schema/` has them: `python -m analystd.server.schema_export FOLDER` writes them.

They are made of what `wire.commands` declares, to which arguments are held, and of the events in `protocol.py`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NotRequired, get_origin, get_type_hints

from analystd.server.handshake import HELLO
from analystd.server.uris import OPTIONS
from analystd.wire import protocol, protocol_answers
from analystd.wire.commands import COMMANDS
from analystd.wire.protocol import CUT_KEYS, EVENT_KEYS, Event, EventKind
from analystd.wire.schemas import Schema, SchemaMaker, object_schema, schema_of

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
    for command in COMMANDS:
        name = command.name.removeprefix("analystd.")
        yield f"{name}.arguments", schema_of(command.arguments)
        yield f"{name}.result", _schema(command.result)
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
