import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analystd.engine.base import ToolSpec
from analystd.engine.llama.constrained_sampling import Grammar
from analystd.engine.llama.grammar import grammar_with_root, tool_call_grammar
from analystd.engine.llama.llama_model import LlamaModel
from analystd.wire.errors import EngineUnavailableError

VIEW = {
    "type": "object",
    "properties": {
        "n_rows": {"type": "integer", "minimum": 1},
        "path": {"type": "string"},
        "operation": {"enum": ["head", "tail"]},
    },
    "required": ["path", "operation"],
}


def accepts(model: LlamaModel, grammar: str, text: str) -> bool:
    """Whether the whole text is in the grammar."""
    state = Grammar(model.vocabulary, grammar)
    try:
        for token in model.vocabulary.tokenize(text, special=False):
            if not state.allows(token):
                return False
            state.accept(token)
        return state.complete
    finally:
        state.close()


def accepts_arguments(model: LlamaModel, schema: dict[str, Any], arguments: str) -> bool:
    grammar = grammar_with_root(tool_call_grammar([ToolSpec("t", "", schema)]))
    return accepts(model, grammar, f'<tool name="t">\n{arguments}\n</tool>')


@pytest.mark.parametrize(
    "arguments",
    [
        '{"path": "a.csv", "operation": "head"}',
        '{"path":"a.csv","operation":"tail","n_rows":5}',
        '{\n  "path": "a b\\n\\"c\\" \\u00e9 é 🦔",\n  "operation": "head"\n}',
    ],
)
def test_arguments_that_fit_are_accepted(model: LlamaModel, arguments: str) -> None:
    assert accepts_arguments(model, VIEW, arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        '{"path": "a.csv"}',
        '{"path": "a.csv", "operation": "shape"}',
        '{"path": 1, "operation": "head"}',
        '{"path": "a.csv", "operation": "head", "more": 1}',
        '{"path": "a.csv", "operation": "head", "n_rows": 0}',
        '{"path": "a\nb", "operation": "head"}',
        '{"path": "a.csv", "operation": "head",}',
        "{}",
        "[]",
    ],
)
def test_arguments_that_do_not_fit_are_refused(model: LlamaModel, arguments: str) -> None:
    assert not accepts_arguments(model, VIEW, arguments)


@pytest.mark.parametrize("arguments", ["{}", '{"a": 1}', '{"b": 2}', '{"a": 1, "c": 3}', '{"a": 1, "b": 2, "c": 3}'])
def test_any_choice_of_optional_properties_is_accepted(model: LlamaModel, arguments: str) -> None:
    schema = {"properties": {name: {"type": "integer"} for name in "abc"}}
    assert accepts_arguments(model, schema, arguments)


@pytest.mark.parametrize(
    ("schema", "fits", "does_not"),
    [
        ({"type": "string", "maxLength": 3}, ['""', '"abc"'], ['"abcd"']),
        ({"type": "number"}, ["1", "-0.5", "1e10", "12.25"], ["01", ".5", '"1"']),
        ({"type": "integer", "minimum": 0}, ["0", "12"], ["-1", "1.5"]),
        ({"type": "boolean"}, ["true", "false"], ["null", "1"]),
        ({"type": ["string", "null"]}, ['"x"', "null"], ["1"]),
        ({"const": "x"}, ['"x"'], ['"y"']),
        ({"anyOf": [{"type": "integer"}, {"enum": ["all"]}]}, ["5", '"all"'], ['"some"']),
        ({"type": "array", "items": {"type": "integer"}}, ["[]", "[1]", "[1, 2,3]"], ["[1,]", '["a"]']),
        ({"type": "array", "minItems": 1, "maxItems": 2}, ["[1]", '["a", {}]'], ["[]", "[1, 2, 3]"]),
        ({"type": "array", "maxItems": 0}, ["[]"], ["[1]"]),
        ({"type": "object"}, ["{}", '{"any": [1, {"thing": null}]}'], ["[]"]),
        ({}, ["1", '"x"', "{}", "[null]"], ["nonsense"]),
        (True, ["1"], []),
        ({"enum": ['a"b', "c\\d", "é", None, 5]}, ['"a\\"b"', '"c\\\\d"', '"é"', "null", "5"], ["6"]),
    ],
)
def test_each_type_of_schema_has_its_grammar(
    model: LlamaModel, schema: Any, fits: list[str], does_not: list[str]
) -> None:
    tool = {"properties": {"x": schema}, "required": ["x"]}
    assert [value for value in fits if not accepts_arguments(model, tool, f'{{"x": {value}}}')] == []
    assert [value for value in does_not if accepts_arguments(model, tool, f'{{"x": {value}}}')] == []


def test_each_tool_has_its_own_arguments(model: LlamaModel) -> None:
    tools = [ToolSpec("a", "", {"properties": {"x": {"type": "integer"}}}), ToolSpec("b", "", {"properties": {}})]
    grammar = grammar_with_root(tool_call_grammar(tools))
    assert accepts(model, grammar, '<tool name="a">\n{"x": 1}\n</tool>')
    assert accepts(model, grammar, '<tool name="b">\n{}\n</tool>')
    assert not accepts(model, grammar, '<tool name="b">\n{"x": 1}\n</tool>')
    assert not accepts(model, grammar, '<tool name="c">\n{}\n</tool>')


def test_nothing_may_follow_a_call(model: LlamaModel) -> None:
    assert not accepts_arguments(model, VIEW, '{"path": "a.csv", "operation": "head"}\n</tool>\nDone')


def test_a_call_may_begin_within_a_token(model: LlamaModel) -> None:
    grammar = grammar_with_root(tool_call_grammar([ToolSpec("t", "", {"properties": {}})]), 'so "\n')
    assert accepts(model, grammar, 'so "\n<tool name="t">\n{}\n</tool>')


def test_an_invalid_grammar_is_an_error_and_not_a_crash(model: LlamaModel) -> None:
    with pytest.raises(EngineUnavailableError, match="could not be converted to a grammar"):
        Grammar(model.vocabulary, 'root ::= "unfinished')


@pytest.mark.parametrize("seed", range(3))
def test_the_best_allowed_token_is_found_however_unlikely_it_is(model: LlamaModel, seed: int) -> None:
    grammar = Grammar(model.vocabulary, grammar_with_root(tool_call_grammar([ToolSpec("t", "", VIEW)])))
    logits = np.random.default_rng(seed).normal(size=model.vocabulary.size).astype(np.float32)
    best = max(
        (token for token in range(model.vocabulary.size) if grammar.allows(token)), key=lambda token: logits[token]
    )
    assert int(grammar.masked(logits).argmax()) == best
    logits[best] = 1000
    assert int(grammar.masked(logits).argmax()) == best
    grammar.close()


# This model's vocabulary lacks some bytes of rarer characters.
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs", "Cc"]), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def any_value(model: LlamaModel) -> Iterator[tuple[LlamaModel, str]]:
    yield model, grammar_with_root(tool_call_grammar([ToolSpec("t", "", {"properties": {"x": {}}, "required": ["x"]})]))


@settings(max_examples=40, deadline=None)
@given(value=values)
def test_whatever_json_writes_is_accepted(any_value: tuple[LlamaModel, str], value: Any) -> None:
    model, grammar = any_value
    assert accepts(model, grammar, f'<tool name="t">\n{json.dumps({"x": value})}\n</tool>')
    assert accepts(model, grammar, f'<tool name="t">\n{json.dumps({"x": value}, ensure_ascii=False)}\n</tool>')


NASTY = [
    'say "hi".csv',
    "back\\slash.csv",
    "new\nline.csv",
    "tab\t.csv",
    "Zürich 東京.csv",
    '</tool>\n<tool name="pyexe">.csv',
    '"}\n</tool>',
    "\x01\x7f.csv",
    "{{ ws }} | root ::= call [^x] # .csv",
    "'",
    "a\u2028b.csv",
]


@pytest.mark.parametrize("name", NASTY)
def test_a_name_is_in_the_grammar_as_json_has_it_and_cannot_break_out(model: LlamaModel, name: str) -> None:
    schema = {"properties": {"path": {"type": "string", "enum": [name, "plain.csv"]}}, "required": ["path"]}
    assert accepts_arguments(model, schema, json.dumps({"path": name}, ensure_ascii=False))
    assert accepts_arguments(model, schema, '{"path": "plain.csv"}')
    for other in (name + "x", name[:-1], "plain", name.replace("\\", "/") + "."):
        assert not accepts_arguments(model, schema, json.dumps({"path": other}, ensure_ascii=False))


@settings(max_examples=25, deadline=None)
@given(
    names=st.lists(
        st.text(st.characters(max_codepoint=0x2FFF, exclude_categories=["Cs", "Cn", "Co"]), min_size=1, max_size=12),
        min_size=1,
        max_size=4,
    )
)
def test_known_names_are_accepted_and_misspelled_ones_are_not(model: LlamaModel, names: list[str]) -> None:
    schema = {"properties": {"path": {"enum": names}}, "required": ["path"]}
    for name in names:
        assert accepts_arguments(model, schema, json.dumps({"path": name}, ensure_ascii=False))
        for misspelt in {name + name[-1], name[:-1], name.swapcase()} - set(names):
            assert not accepts_arguments(model, schema, json.dumps({"path": misspelt}, ensure_ascii=False))
