import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analystd.agent.toolcalls import BadCall, Item, ToolCall, ToolCallParser, tool_call_text, without_thoughts
from analystd.engine.base import ToolSpec

SHAPE = '<tool name="data_view">\n{"path": "a.csv", "operation": "shape"}\n</tool>'

FRAGMENTS = [
    "<tool",
    ' name="x"',
    " name='y'",
    ">",
    "/>",
    "</tool>",
    "<think>",
    "</think>",
    "\n",
    '{"a": 1}',
    '{"a": "',
    '"}',
    "\\",
    "```json\n",
    "\n```",
    "text ",
    "<",
    "5 < 6",
    '"',
    "é😀",
    SHAPE,
]


def parse(*pieces: str) -> list[Item]:
    """Return the parser's items for these pieces, with adjacent texts joined."""
    return parse_with((), *pieces)


def parse_with(tools: Sequence[ToolSpec], *pieces: str) -> list[Item]:
    """Return the same with these tools on offer."""
    parser = ToolCallParser(tools)
    items = [item for piece in pieces for item in parser.feed(piece)] + parser.finish()
    joined: list[Item] = []
    for item in items:
        if isinstance(item, str) and joined and isinstance(joined[-1], str):
            joined[-1] += item
        else:
            joined.append(item)
    return joined


def test_a_call_of_the_documented_form_is_read() -> None:
    assert parse(SHAPE) == [ToolCall("data_view", {"path": "a.csv", "operation": "shape"}, SHAPE)]


def test_text_around_a_call_is_kept_in_order() -> None:
    assert parse(f"Let me look.\n{SHAPE}\nDone.") == [
        "Let me look.\n",
        ToolCall("data_view", {"path": "a.csv", "operation": "shape"}, SHAPE),
        "\nDone.",
    ]


def test_what_the_module_writes_it_also_reads() -> None:
    code = "print('</tool>')\nx = \"é\"\\n"
    text = tool_call_text("pyexe", json.dumps({"code": code}))
    assert parse(text) == [ToolCall("pyexe", {"code": code}, text)]


def test_a_tag_that_is_split_into_single_characters_is_read() -> None:
    assert parse(*SHAPE) == parse(SHAPE)


def test_text_that_cannot_become_a_tag_is_given_at_once() -> None:
    parser = ToolCallParser()
    assert parser.feed("a < b and <to") == ["a < b and "]
    assert parser.feed("ols>") == ["<tools>"]


def test_a_closing_tag_inside_a_json_string_is_not_the_end() -> None:
    text = '<tool name="pyexe">\n{"code": "print(\'</tool>\')"}\n</tool>'
    assert parse(text) == [ToolCall("pyexe", {"code": "print('</tool>')"}, text)]


def test_an_escaped_quote_does_not_end_a_string() -> None:
    text = '<tool name="pyexe">\n{"code": "print(\\"</tool>\\")"}\n</tool>'
    assert parse(text) == [ToolCall("pyexe", {"code": 'print("</tool>")'}, text)]


def test_raw_newlines_inside_a_string_are_accepted() -> None:
    text = '<tool name="pyexe">\n{"code": "a = 1\nprint(a)"}\n</tool>'
    assert parse(text) == [ToolCall("pyexe", {"code": "a = 1\nprint(a)"}, text)]


def test_json_in_a_code_fence_is_accepted() -> None:
    text = '<tool name="data_view">\n```json\n{"path": "a.csv"}\n```\n</tool>'
    assert parse(text) == [ToolCall("data_view", {"path": "a.csv"}, text)]


@pytest.mark.parametrize(
    "opening",
    [
        '<tool name="x">',
        "<tool name='x'>",
        "<tool name=x>",
        '<tool id="1>2" name="x" lang=json>',
        '<tool\n  name = "x" >',
    ],
)
def test_attributes_may_be_written_in_any_way(opening: str) -> None:
    assert parse(f"{opening}{{}}</tool>") == [ToolCall("x", {}, f"{opening}{{}}</tool>")]


def test_a_call_without_content_has_no_arguments() -> None:
    assert parse('<tool name="list_files">\n</tool>') == [
        ToolCall("list_files", {}, '<tool name="list_files">\n</tool>')
    ]
    assert parse('<tool name="list_files"/>.') == [ToolCall("list_files", {}, '<tool name="list_files"/>'), "."]


def test_a_thought_is_text_and_never_a_call() -> None:
    assert parse(f"<think>I could {SHAPE}</think>Hello") == [f"<think>I could {SHAPE}</think>Hello"]


def test_a_call_after_a_thought_is_read() -> None:
    assert parse(f"<think>Hm.</think>{SHAPE}")[1:] == parse(SHAPE)


def test_a_thought_that_does_not_end_is_text() -> None:
    assert parse(f"<think>I could {SHAPE}") == [f"<think>I could {SHAPE}"]


def test_half_a_tag_at_the_end_is_text() -> None:
    assert parse('See <tool name="x') == ['See <tool name="x']


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('<tool name="x">\n{"a": 1}', "The call was not finished: </tool> is missing"),
        ("<tool>\n{}\n</tool>", 'The call names no tool; it begins with <tool name="…">'),
        ('<tool name="x">\n[1]\n</tool>', "The arguments are not a JSON object but [1]"),
        ('<tool name="x">\n{"a": NaN}\n</tool>', "The arguments are not valid JSON: NaN is not JSON"),
        (
            '<tool name="x">\n{a: 1}\n</tool>',
            "The arguments are not valid JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
        ),
        (
            '<tool name="x">\n{"a": "b}\n</tool>',
            "The arguments are not valid JSON: Unterminated string starting at: line 1 column 7 (char 6)",
        ),
        (f'<tool name="x">{"[" * 100_000}</tool>', "The arguments are nested too deeply"),
    ],
)
def test_a_call_that_cannot_be_run_says_why(text: str, message: str) -> None:
    assert parse(text) == [BadCall(message, text)]


def test_half_a_surrogate_pair_in_the_arguments_is_refused() -> None:
    (call,) = parse('<tool name="x">{"a": "\\ud800"}</tool>')
    assert isinstance(call, BadCall)


def test_an_opening_tag_that_never_ends_is_text() -> None:
    text = "<tool " + "x" * 2000
    parser = ToolCallParser()
    assert "".join(map(str, parser.feed(text))) == text


def test_a_reply_is_shown_without_its_thoughts() -> None:
    assert without_thoughts("<think>Hm, 5?</think>\nFive.<think>or six") == "Five."


@given(text=st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=5)).map("".join), data=st.data())
def test_how_a_text_is_cut_into_pieces_makes_no_difference(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    whole = parse(text)
    assert parse(*pieces) == whole
    assert parse(*text) == whole


@given(st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=5)).map("".join))
def test_nothing_of_a_text_is_lost(text: str) -> None:
    assert "".join(item if isinstance(item, str) else item.raw for item in parse(text)) == text
