from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.agent.test_toolcalls import parse_with

from analystd.agent.calls import DEEPEST
from analystd.agent.toolcalls import BadCall, ToolCall, ToolCallParser
from analystd.tools.base import validate
from analystd.tools.data_view import DATA_VIEW
from analystd.tools.pyexe import PYEXE

TOOLS = (DATA_VIEW, PYEXE)
ARGUMENTS = {"path": "a.csv", "operation": "head", "n_rows": 5}
JSON = json.dumps(ARGUMENTS)
NAMED = json.dumps({"name": "data_view", "arguments": ARGUMENTS})
PARAMETERS = json.dumps({"name": "data_view", "parameters": ARGUMENTS})
QWEN = "<parameter=path>\na.csv\n</parameter>\n<parameter=operation>\nhead\n</parameter>\n<parameter=n_rows>\n5\n</parameter>\n"
GLM = "".join(f"<arg_key>{key}</arg_key>\n<arg_value>{value}</arg_value>\n" for key, value in ARGUMENTS.items())
PYTHON = "data_view(path='a.csv', operation=\"head\", n_rows=5)"

ANYWHERE = {
    "ours": f'<tool name="data_view">\n{JSON}\n</tool>',
    "hermes": f"<tool_call>\n{NAMED}\n</tool_call>",
    "hermes, arguments as text": f'<tool_call>{{"name": "data_view", "arguments": {json.dumps(JSON)}}}</tool_call>',
    "qwen coder": f"<tool_call>\n<function=data_view>\n{QWEN}</function>\n</tool_call>",
    "qwen coder, bare": f"<function=data_view>\n{QWEN}</function>",
    "functionary": f"<function=data_view>{JSON}</function>",
    "glm": f"<tool_call>data_view\n{GLM}</tool_call>",
    "llama": f"<|python_tag|>{PARAMETERS}",
    "llama, as openai": f'<|python_tag|>{{"type": "function", "function": {PARAMETERS}}}',
    "mistral": f"[TOOL_CALLS][{NAMED}]",
    "mistral, newer": f"[TOOL_CALLS]data_view[ARGS]{JSON}",
    "mistral, with an id": f"[TOOL_CALLS]data_view[CALL_ID]a1B2[ARGS]{JSON}",
    "deepseek": f"<｜tool▁call▁begin｜>function<｜tool▁sep｜>data_view\n```json\n{JSON}\n```<｜tool▁call▁end｜>",
    "deepseek, newer": f"<｜tool▁call▁begin｜>data_view<｜tool▁sep｜>{JSON}<｜tool▁call▁end｜>",
    "granite": f"<|tool_call|>[{NAMED}]",
    "gpt-oss": f"<|channel|>commentary to=functions.data_view <|constrain|>json<|message|>{JSON}",
    "gpt-oss, plain": f"<|channel|>commentary to=functions.data_view json<|message|>{JSON}",
    "gpt-oss, role first": f"<|start|>assistant to=functions.data_view<|channel|>commentary json<|message|>{JSON}",
    "gemma": f"```tool_code\n{PYTHON}\n```",
    "gemma, printed": f"```tool_code\nprint(default_api.{PYTHON})\n```",
}
WHOLE = {
    "object": PARAMETERS,
    "object, fenced": f"```json\n{PARAMETERS}\n```",
    "object, with white space": f"\n{NAMED}\n",
    "list": f"[{NAMED}]",
    "python": f"[{PYTHON}]",
}
# The tag that some models add after their calls.
AFTER = {"deepseek": "<｜tool▁calls▁end｜>", "gpt-oss": "<|call|>"}

every = pytest.mark.parametrize("syntax", ANYWHERE)
every_foreign = pytest.mark.parametrize("syntax", [name for name in ANYWHERE if name != "ours"])
every_whole = pytest.mark.parametrize("syntax", WHOLE)


@every
def test_each_models_syntax_is_read_as_a_call(syntax: str) -> None:
    text = ANYWHERE[syntax]
    assert parse_with(TOOLS, text) == [ToolCall("data_view", ARGUMENTS, text)]
    validate(DATA_VIEW.parameters, ARGUMENTS)


@every
def test_text_around_a_call_stays_text(syntax: str) -> None:
    text, after = ANYWHERE[syntax], AFTER.get(syntax, "\nDone.")
    assert parse_with(TOOLS, f"Let me look.\n{text}{after}") == [
        "Let me look.\n",
        ToolCall("data_view", ARGUMENTS, text),
        after,
    ]


@every_whole
def test_a_reply_that_is_nothing_but_a_call_of_an_offered_tool_is_one(syntax: str) -> None:
    text = WHOLE[syntax]
    assert parse_with(TOOLS, text)[-1] == ToolCall("data_view", ARGUMENTS, text.lstrip())
    assert parse_with(TOOLS, f"<think>Hm.</think>\n{text}")[-1] == ToolCall("data_view", ARGUMENTS, text.lstrip())


@every_whole
def test_the_same_is_text_with_other_words_or_for_another_tool(syntax: str) -> None:
    text = WHOLE[syntax]
    assert parse_with(TOOLS, f"So: {text}") == [f"So: {text}"]
    assert parse_with(TOOLS, f"{text} is how I would call it.") == [f"{text} is how I would call it."]
    assert parse_with((PYEXE,), text) == [text]
    assert parse_with((), text) == [text]


def test_our_call_after_an_object_is_still_a_call() -> None:
    text = f'{{"name": "Ann"}}\n{ANYWHERE["ours"]}'
    assert parse_with(TOOLS, text) == ['{"name": "Ann"}\n', ToolCall("data_view", ARGUMENTS, ANYWHERE["ours"])]


@every
def test_what_is_only_thought_is_never_a_call(syntax: str) -> None:
    text = ANYWHERE[syntax]
    for opening, closing in (
        ("<think>", "</think>"),
        ("[THINK]", "[/THINK]"),
        ("<|channel|>analysis<|message|>", "<|end|>"),
    ):
        assert parse_with(TOOLS, f"{opening}I could {text}") == [f"{opening}I could {text}"]
        assert parse_with(TOOLS, f"{opening}{text}{closing}No.") == [f"{opening}{text}{closing}No."]


@every_foreign
def test_a_quoted_call_is_text(syntax: str) -> None:
    text = ANYWHERE[syntax]
    for quoted in (f"Models write this:\n```\n{text}\n```\n", f"Models write `{text}`."):
        if "```" not in text:
            assert parse_with(TOOLS, quoted) == [quoted]


@every_foreign
def test_a_call_in_a_fence_that_begins_the_reply_is_a_call(syntax: str) -> None:
    text = ANYWHERE[syntax]
    if "```" not in text:
        assert ToolCall("data_view", ARGUMENTS, text) in parse_with(TOOLS, f"```xml\n{text}\n```")


@pytest.mark.parametrize(
    "text",
    [
        "Such models write <tool_call> and </tool_call> around it.",
        "The tags <function=name> and [TOOL_CALLS] are special, as is <|python_tag|>.",
        "<tool_call>name</tool_call>",
        "<|channel|>commentary to=functions.",
        "<｜tool▁call▁begin｜>function<｜tool▁sep｜>",
        "[TOOL_CALLS] [1] says more.",
        "```tool_code\nimport os\nos.remove('a.csv')\n```",
        "```tool_code\ndata_view(path=open('a.csv').read(), operation='head')\n```",
        "```tool_code\ndata_view('a.csv')\n```",
        "```tool_code\nunknown(path='a.csv')\n```",
        "[data_view(path=__import__('os').getcwd())]",
        "[data_view(**{'path': 'a.csv'})]",
        "[data_view(path='a.csv'), 5]",
        "[data_view(path=" + "-" * 100_000 + "1)]",
        "[data_view(path=" + "[" * 150 + ")]",
        '{"name": "data_view", "arguments": ',
        '{"name": "data_view", "arguments": 5}',
        '{"answer": 5}',
        "[1, 2, 3]",
        "<tool_call",
        "```",
    ],
)
def test_what_only_looks_like_a_call_stays_text(text: str) -> None:
    assert parse_with(TOOLS, text) == [text]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('<tool_call>{"name": "data_view", "arguments": {"a": }}</tool_call>', "The arguments are not valid JSON: "),
        ('<tool_call>{"arguments": {}}</tool_call>', "The call names no tool"),
        ('<tool_call>{"name": 5}</tool_call>', "The call names no tool"),
        (
            '<tool_call>{"name": "data_view", "arguments": [1]}</tool_call>',
            "The arguments are not a JSON object but [1]",
        ),
        ('<tool_call>{"name": "data_view"', "The call was not finished: </tool_call> is missing"),
        ('<|python_tag|>{"name": "data_view", ', "The call was not finished: its JSON has no end"),
        ('[TOOL_CALLS]data_view[ARGS]{"path": "\\ud800"}', "The arguments are not valid JSON: "),
        ('<function=data_view>{"n_rows": 1e999}</function>', "The arguments are not valid JSON: 1e999 is too large"),
        (f'<function=data_view>{{"n_rows": {"9" * 5000}}}</function>', "The arguments are not valid JSON: Exceeds"),
        (f'<function=pyexe>{{"code": {"[" * 200}{"]" * 200}}}</function>', "The arguments are nested too deeply"),
        ('<function=pyexe>{"code": ' + "[" * 100_000 + "</function>", "The arguments are nested too deeply"),
    ],
)
def test_a_call_that_cannot_be_run_is_bad_and_says_why_in_a_line(text: str, message: str) -> None:
    (bad,) = parse_with(TOOLS, text)
    assert isinstance(bad, BadCall)
    assert bad.message.startswith(message)
    assert len(bad.message) < 300
    assert "\n" not in bad.message


def test_an_unknown_tool_in_a_syntax_of_calls_is_a_call_which_is_refused_later() -> None:
    (call,) = parse_with(TOOLS, '<tool_call>{"name": "shell", "arguments": {"command": "ls"}}</tool_call>')
    assert isinstance(call, ToolCall)
    assert (call.name, call.arguments) == ("shell", {"command": "ls"})


def test_of_several_calls_in_one_list_each_is_given_and_the_first_has_the_text() -> None:
    text = f'[TOOL_CALLS][{NAMED}, {{"name": "pyexe", "arguments": {{"code": "1"}}}}]'
    assert parse_with(TOOLS, text) == [
        ToolCall("data_view", ARGUMENTS, text),
        ToolCall("pyexe", {"code": "1"}, ""),
    ]


def test_a_call_goes_into_the_conversation_in_our_syntax() -> None:
    (call,) = parse_with(TOOLS, ANYWHERE["glm"])
    assert isinstance(call, ToolCall)
    assert call.text == ANYWHERE["ours"]
    assert parse_with((), call.text) == [ToolCall("data_view", ARGUMENTS, call.text)]


@pytest.mark.parametrize(
    "closing", ["</tool>", "</tool_call>", "</function>", "<｜tool▁call▁end｜>", "}]", "```", "\\"]
)
def test_a_closing_tag_inside_of_an_argument_is_not_the_end(closing: str) -> None:
    arguments = {"code": f'print("{closing}")\n# {closing}'}
    for text in (
        f'<tool name="pyexe">\n{json.dumps(arguments)}\n</tool>',
        f"<tool_call>{json.dumps({'name': 'pyexe', 'arguments': arguments})}</tool_call>",
        f"<function=pyexe>{json.dumps(arguments)}</function>",
        f"<function=pyexe>\n<parameter=code>\n{arguments['code']}\n</parameter>\n</function>",
        f"<tool_call>pyexe<arg_key>code</arg_key><arg_value>{arguments['code']}</arg_value></tool_call>",
        f"[TOOL_CALLS]pyexe[ARGS]{json.dumps(arguments)}",
        f"<｜tool▁call▁begin｜>pyexe<｜tool▁sep｜>{json.dumps(arguments)}<｜tool▁call▁end｜>",
        f"<|channel|>commentary to=functions.pyexe<|message|>{json.dumps(arguments)}",
        json.dumps({"name": "pyexe", "parameters": arguments}),
    ):
        assert parse_with(TOOLS, text) == [ToolCall("pyexe", arguments, text)]


def test_raw_line_ends_in_a_json_string_are_accepted() -> None:
    text = '<tool_call>{"name": "pyexe", "arguments": {"code": "a = 1\nprint(a)"}}</tool_call>'
    assert parse_with(TOOLS, text) == [ToolCall("pyexe", {"code": "a = 1\nprint(a)"}, text)]


def test_arguments_that_are_mere_text_get_the_types_of_the_schema() -> None:
    text = "<function=pyexe>\n<parameter=code>\n5\n</parameter>\n<parameter=reset>\ntrue\n</parameter>\n</function>"
    assert parse_with(TOOLS, text) == [ToolCall("pyexe", {"code": "5", "reset": True}, text)]
    unknown = "<function=other>\n<parameter=a>\n5\n</parameter>\n<parameter=b>\nfive\n</parameter>\n</function>"
    assert parse_with(TOOLS, unknown) == [ToolCall("other", {"a": 5, "b": "five"}, unknown)]


def test_python_literals_become_what_json_has() -> None:
    text = "[data_view(path='a.csv', operation='rows', columns=('a', 'b'), n_rows=2)]"
    assert parse_with(TOOLS, text) == [
        ToolCall("data_view", {"path": "a.csv", "operation": "rows", "columns": ["a", "b"], "n_rows": 2}, text)
    ]
    (bad,) = parse_with(TOOLS, "[data_view(path=b'a.csv')]")
    assert isinstance(bad, BadCall)


def test_arguments_may_be_nested_so_deep_and_no_deeper() -> None:
    def nested(depth: int) -> str:
        return f'<function=x>{{"a": {"[" * depth}{"]" * depth}}}</function>'

    assert isinstance(parse_with((), nested(DEEPEST - 1))[0], ToolCall)
    assert isinstance(parse_with((), nested(DEEPEST))[0], BadCall)


SNIPPETS = [
    *ANYWHERE.values(),
    *WHOLE.values(),
    *AFTER.values(),
    "<think>",
    "</think>",
    "[THINK]",
    "[/THINK]",
    "<|channel|>analysis<|message|>",
    "<|end|>",
    "```",
    "```json\n",
    "```tool_code\n",
    "`",
    "\n",
    " ",
    "Text. ",
    "{",
    '{"name"',
    '"',
    "\\",
    "}",
    "[",
    "<tool_call>",
    "</tool_call>",
    "<function=x>",
    "[TOOL_CALLS]",
    "<|python_tag|>",
    "<tool_call>\n{",
    "é🦔",
]


@settings(deadline=None)
@given(text=st.lists(st.sampled_from(SNIPPETS) | st.text(max_size=4), max_size=6).map("".join), data=st.data())
def test_how_any_syntax_is_cut_makes_no_difference_and_nothing_is_lost(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    whole = parse_with(TOOLS, text)
    assert parse_with(TOOLS, *pieces) == whole
    assert parse_with(TOOLS, *text) == whole
    assert "".join(item if isinstance(item, str) else item.raw for item in whole) == text


@every
def test_each_single_cut_makes_no_difference(syntax: str) -> None:
    text = f"Well.\n{ANYWHERE[syntax]}\nDone."
    whole = parse_with(TOOLS, text)
    for at in range(len(text)):
        assert parse_with(TOOLS, text[:at], text[at:]) == whole


LONG = 200_000


@pytest.mark.parametrize(
    "text",
    [
        "word " * (LONG // 5),
        "<" * LONG,
        "<tool <tool_call> " * (LONG // 18),
        "<think>" + "so " * (LONG // 3),
        '{"name": "' + "x" * LONG,
        f'<tool name="pyexe">\n{{"code": "{"x = 1; " * (LONG // 7)}"}}\n</tool>',
        f'<tool_call>{{"name": "pyexe", "arguments": {{"code": "{"é" * LONG}"}}}}</tool_call>',
        f"<function=pyexe>\n<parameter=code>\n{'y' * LONG}\n</parameter>\n</function>",
        '<tool_call>{"name": "pyexe", "arguments": {"code": "' + "\\" * LONG,
    ],
    ids=["words", "angles", "half tags", "thought", "object", "ours", "hermes", "qwen", "backslashes"],
)
def test_a_long_text_costs_no_more_than_its_characters(text: str) -> None:
    """The text held back between two pieces stays short, so that the work per character is bounded."""
    parser = ToolCallParser(TOOLS)
    for start in range(0, len(text), 7):
        parser.feed(text[start : start + 7])
        assert parser.held_characters <= 600
    parser.finish()


@pytest.mark.slow
def test_an_argument_of_a_megabyte_arrives_character_by_character() -> None:
    code = "x = 1\n" * 170_000
    text = ANYWHERE["hermes"].replace("data_view", "pyexe").replace(JSON, json.dumps({"code": code}))
    assert parse_with(TOOLS, *text) == [ToolCall("pyexe", {"code": code}, text)]
