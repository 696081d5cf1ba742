from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal, NotRequired, TypedDict

import pytest

from analystd.wire.schemas import schema_of


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Leaf(TypedDict):
    """A leaf
    of a tree."""

    colour: Colour
    size: NotRequired[float | None]


class Tree(Leaf):
    """A leaf with leaves."""

    leaves: list[Tree]
    pair: tuple[int, str]
    by_name: dict[str, bool]
    kind: Literal["oak", "elm"] | None
    rest: Any


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        (int, {"type": "integer"}),
        (str | None, {"type": ["string", "null"]}),
        (Literal["a", 1], {"enum": ["a", 1]}),
        (Literal["a"] | None, {"enum": ["a", None]}),
        (list[int] | None, {"type": ["array", "null"], "items": {"type": "integer"}}),
        (list[int] | str, {"anyOf": [{"type": "array", "items": {"type": "integer"}}, {"type": "string"}]}),
        (Any | None, {}),
        (dict[str, Any], {"type": "object"}),
        (Colour, {"enum": ["red", "blue"]}),
    ],
)
def test_a_plain_type_has_a_plain_schema(annotation: Any, schema: dict[str, Any]) -> None:
    assert schema_of(annotation) == schema


def test_a_typed_dict_is_an_object_with_these_members_and_no_others() -> None:
    leaf = {
        "description": "A leaf of a tree.",
        "type": "object",
        "properties": {"colour": {"enum": ["red", "blue"]}, "size": {"type": ["number", "null"]}},
        "required": ["colour"],
        "additionalProperties": False,
    }
    assert schema_of(Leaf) == {"$ref": "#/$defs/Leaf", "$defs": {"Leaf": leaf}}
    del leaf["additionalProperties"]
    assert schema_of(Leaf, closed=False) == {"$ref": "#/$defs/Leaf", "$defs": {"Leaf": leaf}}


def test_a_type_may_hold_others_of_its_kind() -> None:
    tree = schema_of(Tree)["$defs"]["Tree"]
    assert tree["required"] == ["colour", "leaves", "pair", "by_name", "kind", "rest"]
    assert tree["properties"] == {
        "colour": {"enum": ["red", "blue"]},
        "size": {"type": ["number", "null"]},
        "leaves": {"type": "array", "items": {"$ref": "#/$defs/Tree"}},
        "pair": {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "minItems": 2, "maxItems": 2},
        "by_name": {"type": "object", "additionalProperties": {"type": "boolean"}},
        "kind": {"enum": ["oak", "elm", None]},
        "rest": {},
    }  # fmt: skip


def test_a_type_without_a_form_in_json_is_refused() -> None:
    for annotation in (bytes, set[int], complex | None):
        with pytest.raises(TypeError, match="has no JSON Schema"):
            schema_of(annotation)
