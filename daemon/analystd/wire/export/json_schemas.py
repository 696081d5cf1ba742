"""The JSON Schemas of analystd's own messages, as published in `docs/schema/`.

Arguments are validated against the schemas of `wire.commands`. An event is one of its kinds, with the keys that `EVENT_KEYS` lists for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NotRequired, get_origin, get_type_hints

from analystd.wire import events, status
from analystd.wire.commands import COMMANDS
from analystd.wire.events import CUT_KEYS, EVENT_KEYS, Event
from analystd.wire.names import EventKind
from analystd.wire.schemas import Schema, SchemaMaker, object_schema, schema_of

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def published() -> dict[str, Schema]:
    """Return every published schema by the name of its file, without `.json`."""
    return {name: {"$schema": _DIALECT, "title": name, **schema} for name, schema in _schemas()}


def schema_files() -> dict[str, str]:
    """Return the content of every file of `docs/schema/`."""
    return {
        f"{name}.json": json.dumps(schema, indent=2, ensure_ascii=False) + "\n" for name, schema in published().items()
    }


def _schemas() -> Iterator[tuple[str, Schema]]:
    for command in COMMANDS:
        name = command.name.removeprefix("analystd.")
        yield f"{name}.arguments", schema_of(command.arguments)
        yield f"{name}.result", _schema(command.result)
    yield "event", {"$ref": "#/$defs/Event", "$defs": _with_event_kinds(SchemaMaker())}
    yield "snapshot", _schema(events.Snapshot)
    yield "error.data", _schema(status.ErrorData)
    yield "hello.params", schema_of(status.Hello, closed=False)
    yield "hello.result", _schema(status.HelloResult)
    yield "initialize.options", schema_of(status.Options, closed=False)
    yield "initialize.result", _schema(status.About)


def _schema(annotation: type) -> Schema:
    schema = schema_of(annotation)
    if "Event" not in schema["$defs"]:
        return schema
    maker = SchemaMaker()
    maker.of(annotation)
    return {**schema, "$defs": _with_event_kinds(maker)}


def _with_event_kinds(maker: SchemaMaker) -> dict[str, Schema]:
    """Return the definitions of a schema, in which `Event` is a choice between the kinds of events."""
    kinds = {kind.value: _event_schema(kind, maker) for kind in EventKind}
    event: Schema = {
        "description": "One line of the journal.",
        "oneOf": [{"$ref": f"#/$defs/{kind}"} for kind in kinds],
    }
    return dict(sorted({**maker.definitions, **kinds, "Event": event}.items()))


def _event_schema(kind: EventKind, maker: SchemaMaker) -> Schema:
    """Return the schema of one kind of event, with the types that `Event` declares."""
    hints = get_type_hints(Event)
    keys = EVENT_KEYS[kind]
    always = [*_common_keys(), *keys.always]
    members = {name: maker.of(hints[name]) for name in (*always, *keys.sometimes, *CUT_KEYS)}
    return object_schema({**members, "kind": {"const": kind.value}}, always)


def _common_keys() -> list[str]:
    """Return the keys that all events have."""
    hints = get_type_hints(Event, include_extras=True)
    return [name for name, hint in hints.items() if get_origin(hint) is not NotRequired]
