"""The generated files in the tree are up to date with the declarations of the wire, and the schemas have the right content."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from analystd.server.handlers import all_commands
from analystd.wire.commands import COMMANDS
from analystd.wire.events import CUT_KEYS, EVENT_KEYS, Event
from analystd.wire.export.__main__ import generated, write
from analystd.wire.export.json_schemas import published
from analystd.wire.names import Command, EventKind

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "schema"


def test_the_files_are_what_is_generated(tmp_path: Path) -> None:
    write(tmp_path)
    written = {str(path.relative_to(tmp_path)): path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    assert written == generated()
    assert {path: (ROOT / path).read_text() for path in written} == written, "`make schemas` writes them anew"


def test_there_is_no_schema_of_what_is_not_declared() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(published())


def test_every_command_is_declared_once_and_has_a_handler() -> None:
    assert Counter(command.name for command in COMMANDS) == Counter(Command)
    assert set(all_commands()) == set(Command)


def test_every_kind_of_event_has_its_keys_and_every_key_a_kind() -> None:
    assert set(EVENT_KEYS) == set(EventKind)
    common = {"seq", "run_id", "kind", "at", "client", "client_id", "session", *CUT_KEYS}
    assert {key for keys in EVENT_KEYS.values() for group in keys for key in group} == set(
        Event.__annotations__
    ) - common


@pytest.mark.parametrize("name", sorted(published()))
def test_a_schema_is_one(name: str) -> None:
    Draft202012Validator.check_schema(published()[name])


def test_an_event_is_of_one_kind() -> None:
    event: dict[str, Any] = {"seq": 1, "run_id": "r", "at": 1.5, "client": "c", "client_id": "i", "session": None}
    schema = Draft202012Validator(published()["event"])
    assert schema.is_valid({**event, "kind": "text", "text": "x"})
    assert schema.is_valid({**event, "kind": "session_reset"})
    for wrong in (
        {"kind": "text"},
        {"kind": "session_reset", "text": "x"},
        {"kind": "other"},
        {"kind": "text", "text": 7},
    ):
        assert not schema.is_valid({**event, **wrong})


def test_the_protocol_page_links_to_every_schema() -> None:
    linked = set(re.findall(r"\(schema/([\w.]+)\.json\)", (ROOT / "docs" / "protocol.md").read_text()))
    assert linked == set(published())


def test_a_published_file_stands_by_itself() -> None:
    for path in FOLDER.iterdir():
        schema = json.loads(path.read_text())
        named = set(re.findall(r'"#/\$defs/(\w+)"', path.read_text()))
        assert named <= set(schema.get("$defs", {}))
