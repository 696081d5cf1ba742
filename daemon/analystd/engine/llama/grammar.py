"""Create the grammar (GBNF) of a tool call from the tools' JSON Schemas.

    <tool name="data_view">
    {"path": "prices.csv", "operation": "shape"}
    </tool>

Constraints that a grammar cannot express (bounds of numbers, patterns) are checked by the validation before a tool runs. The grammar
never allows a form that the schema forbids: names, types, enumerations, required properties, no additional properties.
The GBNF syntax: https://github.com/ggml-org/llama.cpp/blob/master/grammars/README.md
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from analystd.engine.base import ToolSpec

OPENING = "<tool"
CLOSING = "</tool>"

Schema = Mapping[str, Any]

_LONGEST_BOUNDED_STRING = 512
_BASE_RULES = {
    # White space is bounded, since a small model would otherwise continue it without end.
    "ws": r'[ ]? | "\n" [ ]{0,8}',
    "char": r'[^"\\\x7F\x00-\x1F] | "\\" (["\\/bfnrt] | "u" [0-9a-fA-F]{4})',
    "string": r'"\"" char* "\""',
    "integer": r'"-"? natural',
    "natural": r'"0" | positive',
    "positive": "[1-9] [0-9]{0,15}",
    "number": r'integer ("." [0-9]{1,15})? ([eE] [-+]? [0-9]{1,3})?',
    "boolean": r'"true" | "false"',
    "null": r'"null"',
    "value": "object | array | string | number | boolean | null",
    "object": r'"{" ws (pair ("," ws pair)*)? "}"',
    "pair": r'string ":" ws value ws',
    "array": r'"[" ws (value ws ("," ws value ws)*)? "]"',
}


def tool_call_grammar(tools: Sequence[ToolSpec]) -> str:
    """Return GBNF rules whose rule `call` is one call of one of the tools, from `<tool` to `</tool>`. See `grammar_with_root`."""
    rules = _Rules()
    calls = [rules.add(f"call-{index}", _call(rules, tool)) for index, tool in enumerate(tools)]
    rules.add("call", f"{_literal(OPENING + ' name=')} ({' | '.join(calls)}) {_literal(CLOSING)}")
    return rules.text()


def grammar_with_root(rules: str, before: str = "") -> str:
    """Return the whole grammar: a call, after the text that its first token may contain before the call's beginning."""
    return f"root ::= {_literal(before)} call\n{rules}" if before else f"root ::= call\n{rules}"


class _Rules:
    """The rules so far. `add` returns the name by which a rule can be used."""

    def __init__(self) -> None:
        self._rules = dict(_BASE_RULES)

    def add(self, name: str, body: str) -> str:
        self._rules[name] = body
        return name

    def add_new(self, body: str) -> str:
        return self.add(f"rule-{len(self._rules)}", body)

    def text(self) -> str:
        return "".join(f"{name} ::= {body}\n" for name, body in self._rules.items())


def _call(rules: _Rules, tool: ToolSpec) -> str:
    arguments = _expression(rules, {"type": "object", **tool.parameters})
    return rf'{_literal(json.dumps(tool.name, ensure_ascii=False))} ">\n" {arguments} "\n"'


def _expression(rules: _Rules, schema: Schema | bool) -> str:
    """Return an expression for the values of a schema; any JSON value for schema keywords that this module does not support."""
    if isinstance(schema, bool):
        return "value"
    if "const" in schema:
        return _json_literal(schema["const"])
    if "enum" in schema:
        return _either(_json_literal(each) for each in schema["enum"])
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return _either(_expression(rules, each) for each in schema[word])
    kind = schema.get("type")
    if isinstance(kind, list):
        return _either(_expression(rules, {**schema, "type": each}) for each in kind)
    return _of_type(rules, kind, schema)


def _of_type(rules: _Rules, kind: Any, schema: Schema) -> str:
    if kind == "object" and "properties" in schema:
        return rules.add_new(_object(rules, schema))
    if kind == "array":
        return rules.add_new(_array(rules, schema))
    if kind == "string" and "maxLength" in schema:
        return _bounded_string(schema)
    if kind == "integer" and schema.get("minimum", -1) >= 0:
        return "natural" if schema["minimum"] == 0 else "positive"
    return kind if kind in _BASE_RULES else "value"


def _object(rules: _Rules, schema: Schema) -> str:
    """Return the properties in the schema's order, required ones first, so that a comma stands before each optional one."""
    required = [name for name in schema["properties"] if name in schema.get("required", ())]
    optional = [name for name in schema["properties"] if name not in required]
    pairs = {name: _pair(rules, name, schema["properties"][name]) for name in (*required, *optional)}
    if required:
        body = ' "," ws '.join(pairs[name] for name in required) + "".join(
            f' ("," ws {pairs[name]})?' for name in optional
        )
    else:
        body = _any_of_in_order([pairs[name] for name in optional])
    return f'"{{" ws {body} "}}"' if body else '"{" ws "}"'


def _pair(rules: _Rules, name: str, schema: Schema | bool) -> str:
    return rules.add_new(f'{_json_literal(name)} ":" ws {_expression(rules, schema)} ws')


def _any_of_in_order(pairs: Sequence[str]) -> str:
    """Return an expression for any subset of pairs, in order: one alternative for each pair that may come first."""
    alternatives = [
        " ".join([first, *(f'("," ws {later})?' for later in pairs[index + 1 :])]) for index, first in enumerate(pairs)
    ]
    return f"({' | '.join(alternatives)})?" if alternatives else ""


def _array(rules: _Rules, schema: Schema) -> str:
    item = _expression(rules, schema.get("items", True))
    least, most = schema.get("minItems", 0), schema.get("maxItems")
    if most == 0:
        return '"[" ws "]"'
    more = f'("," ws {item} ws){{{max(0, least - 1)},{"" if most is None else most - 1}}}'
    return f'"[" ws {item} ws {more} "]"' if least else f'"[" ws ({item} ws {more})? "]"'


def _bounded_string(schema: Schema) -> str:
    longest = schema["maxLength"]
    if longest > _LONGEST_BOUNDED_STRING:
        return "string"
    return rf'"\"" char{{{schema.get("minLength", 0)},{longest}}} "\""'


def _either(expressions: Iterable[str]) -> str:
    return f"({' | '.join(expressions)})"


def _json_literal(value: Any) -> str:
    return _literal(json.dumps(value, ensure_ascii=False))


def _literal(text: str) -> str:
    """Return a GBNF string that matches exactly this text."""
    escaped = (
        text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    )
    return f'"{escaped}"'
