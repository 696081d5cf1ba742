from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from analystd.wire.schemas import schema_of
from analystd.wire.structured import JsonSchema, LuaTable, WithWire, structured


@dataclass(frozen=True)
class Place(LuaTable):
    name: str | None = None


@dataclass(frozen=True)
class Stop:
    after: Annotated[int, JsonSchema(minimum=1)]
    why: Any = None


@dataclass(frozen=True, kw_only=True)
class Journey:
    start: Place | None = None
    days: int
    speed: float = 1.0
    stops: Annotated[tuple[Stop, ...], JsonSchema(maxItems=9)] = ()


def test_an_object_becomes_its_dataclass_all_the_way_down() -> None:
    value = {"start": {"name": "A"}, "days": 3, "speed": 10**400, "stops": [{"after": 1, "why": {"x": [1]}}]}
    assert structured(Journey, value) == Journey(
        start=Place("A"),
        days=3,
        speed=10**400,
        stops=(Stop(1, {"x": [1]}),),
    )


def test_what_is_left_out_has_its_default() -> None:
    assert structured(Journey, {"days": 1}) == Journey(start=None, days=1, speed=1.0, stops=())


def test_an_integer_is_one_however_it_is_written() -> None:
    days = structured(Journey, {"days": 3.0}).days
    assert (days, type(days)) == (3, int)


def test_the_empty_table_of_lua_is_an_object() -> None:
    assert structured(Journey, {"days": 1, "start": []}).start == Place()


def test_members_that_a_class_does_not_have_are_ignored() -> None:
    assert structured(Place, {"name": "A", "of_a_newer_peer": 1}) == Place("A")


@dataclass(frozen=True, eq=False)
class Answer(WithWire):
    words: tuple[Place, ...]


def test_an_object_that_keeps_its_wire_has_members_of_newer_peers_too() -> None:
    wire = {"words": [{"name": "A"}], "of_a_newer_peer": 1}
    answer = structured(Answer, wire)
    assert (answer.words, answer.wire) == ((Place("A"),), wire)


def test_a_dataclass_is_an_object_whose_members_with_defaults_may_be_left_out() -> None:
    assert schema_of(Journey) == {
        "type": "object",
        "properties": {
            "start": {"type": ["object", "array"], "properties": {"name": {"type": "string"}}, "maxItems": 0},
            "days": {"type": "integer"},
            "speed": {"type": "number"},
            "stops": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"after": {"type": "integer", "minimum": 1}, "why": {}},
                    "required": ["after"],
                    "additionalProperties": False,
                },
                "maxItems": 9,
            },
        },
        "required": ["days"],
        "additionalProperties": False,
    }
