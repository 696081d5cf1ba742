"""The syntaxes in which open models write tool calls, as their chat templates define them, and how to read each of them.

| syntax | models |
|---|---|
| `<tool name="n">{…}</tool>` | ours |
| `<tool_call>{"name": …, "arguments": {…}}</tool_call>` | Hermes, Qwen 2.5 and 3, and many tuned after them |
| `<tool_call><function=n><parameter=k>v</parameter></function></tool_call>`, bare too | Qwen 3 Coder |
| `<function=n>{…}</function>` | Llama 3.1 (own tools), Functionary |
| `<tool_call>n<arg_key>k</arg_key><arg_value>v</arg_value></tool_call>` | GLM 4.5 |
| `<|python_tag|>{"name": …, "parameters": {…}}` | Llama 3.1 |
| `[TOOL_CALLS][{"name": …, "arguments": {…}}]`, `[TOOL_CALLS]n[ARGS]{…}` | Mistral, older and newer |
| `<｜tool▁call▁begin｜>function<｜tool▁sep｜>n`, JSON in a fence, `<｜tool▁call▁end｜>`; without `function` and fence | DeepSeek V3, R1; V3.1 |
| `<|tool_call|>[{…}]` | Granite 3 |
| `<|channel|>commentary to=functions.n <|constrain|>json<|message|>{…}<|call|>` | gpt-oss |
| a fence `tool_code` with `n(k=v)` | Gemma |
| a reply that is nothing but `{"name": n, "parameters": {…}}`, in a fence or not, or `[n(k=v)]`, n an offered tool | Llama 3.2, 4; others |

An opening counts only if it is followed by what the syntax requires there; otherwise it is text about the syntax.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from analystd.agent.call_ends import End, JsonEnd, ReplyEnd, TagEnd
from analystd.agent.calls import (
    CLOSING,
    OPENING,
    ToolCall,
    UnreadableError,
    checked,
    object_of,
    program_text,
    read_arguments,
    read_call,
    read_json,
    value_of,
)
from analystd.agent.python_calls import python_calls
from analystd.engine.base import ToolSpec

Tools = Mapping[str, ToolSpec]
Head = re.Match[str]
Read = Callable[[Head, str, str, Tools], Sequence[ToolCall]]
"""Return the calls in a head, a body and the raw text; none if the text is not a call.

Raises:
    UnreadableError: if it is a call that cannot be run.
"""

LONGEST_HEAD = 512
"""Maximum length of a head."""

PROGRAM_TOOL = "pyexe"
"""The tool that runs a program in a code fence."""

_NAME = r"(?P<name>[\w.:-]{1,128})"
_SPACE = r"\s{0,32}"
_PARAMETER = re.compile(
    r"<parameter=(?P<key>[^>\n]{1,128})>(?P<value>.*?)(?:</parameter>|(?=<parameter=)|\Z)", re.DOTALL
)
_GLM_ARGUMENT = re.compile(
    r"<arg_key>(?P<key>.*?)</arg_key>\s*<arg_value>(?P<value>.*?)(?:</arg_value>|(?=<arg_key>)|\Z)", re.DOTALL
)
_TOOL_NAME = re.compile(r"""\sname\s*=\s*(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<bare>[^\s"'/>]+))""")


@dataclass(frozen=True)
class Syntax:
    """One way to write a call: how it begins and ends, and how its content is read."""

    mark: str
    """The text that announces it."""
    head: re.Pattern[str]
    """The pattern of the call's beginning; its body follows."""
    so_far: re.Pattern[str]
    """The pattern of all texts that may still become a head, if they are shorter than `LONGEST_HEAD`."""
    end: Callable[[], End]
    read: Read
    closing: str = ""
    """The tag that ends the body, if any."""
    is_ours: bool = False
    is_whole: bool = False
    """Whether it counts only if it is the whole reply."""
    is_program: bool = False
    """Whether it is a program in a code fence: it counts if no other fence is open, and the end of the reply may end it."""


def _read_ours(head: Head, body: str, raw: str, _tools: Tools) -> Sequence[ToolCall]:
    named = _TOOL_NAME.search(head["attributes"])
    name = (named["double"] or named["single"] or named["bare"]) if named else None
    if not name:
        raise UnreadableError(f'The call names no tool; it begins with {OPENING} name="…">')
    return [ToolCall(name, read_arguments(body), raw)]


def _read_objects(_head: Head, body: str, raw: str, _tools: Tools) -> Sequence[ToolCall]:
    """Read one object that names its tool, or a list of them; the raw text goes with the first."""
    value = read_json(body)
    listed = value if isinstance(value, list) else [value]
    return [read_call(each, raw if index == 0 else "") for index, each in enumerate(listed)]


def _read_named(head: Head, body: str, raw: str, _tools: Tools) -> Sequence[ToolCall]:
    return [ToolCall(head["name"], read_arguments(body), raw)]


def _read_pairs(pairs: re.Pattern[str], strip: str) -> Read:
    """Return a reader of arguments that are written as plain text between tags."""

    def read(head: Head, body: str, raw: str, tools: Tools) -> Sequence[ToolCall]:
        tool = tools.get(head["name"])
        schemas: Mapping[str, Any] = tool.parameters.get("properties", {}) if tool else {}
        arguments: dict[str, Any] = {}
        for pair in pairs.finditer(body):
            key = pair["key"].strip()
            value = pair["value"]
            value = value.removeprefix(strip).removesuffix(strip) if strip else value
            arguments[key] = value_of(value, schemas.get(key))
        if tool is None and not arguments:
            # A word between two tags is not enough to be a call.
            return []
        return [ToolCall(head["name"], object_of(checked(arguments)), raw)]

    return read


def _read_offered_object(head: Head, _body: str, raw: str, tools: Tools) -> Sequence[ToolCall]:
    """Read a reply that is an object naming an offered tool, or a list of them; any other object is an answer."""
    try:
        calls = _read_objects(head, raw, raw, tools)
    except UnreadableError:
        return []
    return calls if all(call.name in tools for call in calls) else []


def _read_offered_python(head: Head, _body: str, raw: str, tools: Tools) -> Sequence[ToolCall]:
    return _read_python(head, raw, raw, tools)


def _read_python(_head: Head, body: str, raw: str, tools: Tools) -> Sequence[ToolCall]:
    calls = python_calls(body, tools)
    return [ToolCall(name, arguments, raw if index == 0 else "") for index, (name, arguments) in enumerate(calls)]


def _read_program(_head: Head, body: str, _raw: str, tools: Tools) -> Sequence[ToolCall]:
    """Read the code in a fence as a call of the tool that runs it; plain text if that tool is not offered."""
    # In a list, fence and code are indented.
    code = textwrap.dedent(body.strip("\n")).rstrip().removesuffix("\n```").rstrip()
    return [ToolCall(PROGRAM_TOOL, {"code": code}, program_text(code))] if code and PROGRAM_TOOL in tools else []


Parts = Sequence[str]
"""Literal texts and, at odd positions, patterns."""


def _syntax(
    head: Parts, then: Sequence[Parts], end: Callable[[], End], read: Read, closing: str = "", *, whole: bool = False
) -> Syntax:
    """Return a syntax whose head must be followed by one of the parts in `then`, which belong to the body."""
    follows = "|".join(map(_complete, then))
    following = "|".join(_growing(parts) for parts in then)
    return Syntax(
        head[0],
        re.compile(f"{_complete(head)}(?={follows})"),
        re.compile(_growing(head, f"(?:{following})")),
        end,
        read,
        closing,
        is_whole=whole,
    )


def _tagged(head: Parts, then: Sequence[Parts], closing: str, quotes: tuple[str, str] | None, read: Read) -> Syntax:
    return _syntax(head, then, lambda: TagEnd(closing, quotes), read, closing)


def _complete(parts: Parts) -> str:
    """Return the pattern that these parts match completely."""
    return "".join(part if index % 2 else re.escape(part) for index, part in enumerate(parts))


def _growing(parts: Parts, rest: str = "") -> str:
    """Return the pattern of all prefixes of the parts, and of the parts followed by a prefix of the rest."""
    for index in reversed(range(len(parts))):
        if index % 2:
            # A part that needs at least one character has begun before that character arrives.
            rest = parts[index].replace("{1,", "{0,") + rest
        for character in reversed("" if index % 2 else parts[index]):
            rest = f"(?:{re.escape(character)}{rest})?"
    return rest


_STRINGS = ('"', '"')
_PARAMETERS = ("<parameter=", "</parameter>")
_VALUES = ("<arg_value>", "</arg_value>")
_OBJECT: Sequence[Parts] = (["{"],)
_OBJECTS: Sequence[Parts] = (["{"], ["[", _SPACE, "{"])
_read_parameters = _read_pairs(_PARAMETER, "\n")
_read_glm = _read_pairs(_GLM_ARGUMENT, "")

_TO, _START = "<|channel|>commentary to=functions.", "<|start|>assistant to=functions."
_REST, _KIND = r"[^<\n]{0,64}", ["<|constrain|>", r"\w{1,16}"]
_HARMONY_HEADS: Sequence[Parts] = (
    [_TO, _NAME + _REST],
    [_TO, _NAME + _REST, *_KIND],
    [_START, _NAME, "<|channel|>commentary", _REST],
    [_START, _NAME, "<|channel|>commentary", _REST, *_KIND],
)

_CALL_BEGIN, _CALL_END, _SEPARATOR = "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>", "<｜tool▁sep｜>"
_DEEPSEEK_HEADS: Sequence[tuple[Parts, Sequence[Parts]]] = (
    ([_CALL_BEGIN + "function" + _SEPARATOR, _NAME + _SPACE], (["```"],)),
    ([_CALL_BEGIN, _NAME, _SEPARATOR, _SPACE], _OBJECT),
)

_OURS = Syntax(
    OPENING,
    re.compile(r"""<tool(?=[\s/>])(?P<attributes>(?:"[^"]*"|'[^']*'|[^"'>])*)>"""),
    re.compile(rf"{_growing([OPENING])}|{OPENING}[\s/].*", re.DOTALL),
    lambda: TagEnd(CLOSING, _STRINGS),
    _read_ours,
    CLOSING,
    is_ours=True,
)

SYNTAXES: tuple[Syntax, ...] = (
    _OURS,
    _tagged(["<tool_call>", _SPACE], _OBJECTS, "</tool_call>", _STRINGS, _read_objects),
    _tagged(
        ["<tool_call>", _SPACE, "<function=", _NAME, ">", _SPACE],
        (["<parameter="], ["</function>"]),
        "</tool_call>",
        _PARAMETERS,
        _read_parameters,
    ),
    _tagged(
        ["<tool_call>", _SPACE + _NAME + _SPACE],
        (["<arg_key>"], ["</tool_call>"]),
        "</tool_call>",
        _VALUES,
        _read_glm,
    ),
    _tagged(["<function=", _NAME, ">", _SPACE], (["<parameter="],), "</function>", _PARAMETERS, _read_parameters),
    _tagged(["<function=", _NAME, ">", _SPACE], _OBJECT, "</function>", _STRINGS, _read_named),
    _syntax(["<|python_tag|>", _SPACE], _OBJECT, JsonEnd, _read_objects),
    _syntax(["[TOOL_CALLS]", _SPACE], _OBJECTS, JsonEnd, _read_objects),
    _syntax(["[TOOL_CALLS]", _SPACE + _NAME, "[ARGS]", _SPACE], _OBJECT, JsonEnd, _read_named),
    _syntax(
        ["[TOOL_CALLS]", _SPACE + _NAME, "[CALL_ID]", r"\w{1,64}", "[ARGS]", _SPACE], _OBJECT, JsonEnd, _read_named
    ),
    *(_tagged(head, then, _CALL_END, _STRINGS, _read_named) for head, then in _DEEPSEEK_HEADS),
    _syntax(["<|tool_call|>", _SPACE], _OBJECTS, JsonEnd, _read_objects),
    *(_syntax([*head, "<|message|>", _SPACE], _OBJECT, JsonEnd, _read_named) for head in _HARMONY_HEADS),
    _tagged(["```tool_code", r"[ \t]{0,8}", "\n"], ([""],), "```", None, _read_python),
    *(
        _syntax(head, (["", _SPACE, f'"{key}"'],), ReplyEnd, _read_offered_object, whole=True)
        for key in ("name", "type", "function", "parameters", "arguments")
        for head in (["{"], ["```", r"[a-z]{0,8}\s{1,32}", "{"], ["[", _SPACE, "{"])
    ),
    _syntax(["["], (["", _NAME, "("],), ReplyEnd, _read_offered_python, whole=True),
)

_FENCE_HEAD: Parts = ["```", r"i?[Pp]?y?t?h?o?n?3?[ \t]{0,8}"]
"""A fence labelled as Python or not at all; the pattern also matches text that may still become such a label."""

PROGRAM = replace(_tagged(_FENCE_HEAD, (["\n"],), "\n```", None, _read_program), is_program=True)
"""The form in which models that can program write a call of `PROGRAM_TOOL`; for other models a fence is text."""
