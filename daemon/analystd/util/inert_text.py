"""Make foreign text inert: text from data, models, programs or file names must not be obeyed by whatever displays it."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from typing import Any

MAX_MESSAGE_CHARACTERS = 2000

_CONTROLS = r"\x00-\x08\x0b-\x1f\x7f-\x9f"
_LINE_ENDS = r"\u2028\u2029"
# Characters that change the writing direction, have no width, or carry hidden text; and halves of surrogate pairs, which no stream can encode.
_HIDDEN = (
    r"\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u206f\u3164\ud800-\udfff\ufeff\uffa0\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f"
)
# A carriage return before a line end has no effect.
_UNSAFE = re.compile(rf"(?!\r\n)[{_CONTROLS}{_LINE_ENDS}{_HIDDEN}]")
_UNSAFE_IN_LINE = re.compile(rf"[\t\n{_CONTROLS}{_LINE_ENDS}{_HIDDEN}]")
_JOINERS = "\u200c\u200d"
_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
# A Markdown label before an address or a definition, and the opening of a tag or an address in angle brackets.
_LINK = re.compile(r"\](?=[(:])|<(?=[A-Za-z/!?])")


def visible(text: str) -> str:
    r"""Return the text with an escape, such as `\x1b`, for everything but line ends and tabs that a terminal would obey or not show."""
    return _UNSAFE.sub(_escape, text)


def masked(text: str) -> str:
    """Return the text with one sign for each character that `visible` escapes, where the length must not change."""
    return _UNSAFE.sub(lambda match: match[0] if _escape(match) == match[0] else "\ufffd", text)


def one_line(text: str) -> str:
    """Return the text as `visible` does, on one line: line ends and tabs are escaped too."""
    return _UNSAFE_IN_LINE.sub(_escape, text)


def program_text(text: str, *, in_colour: bool) -> str:
    """Return the output of the user's own program for a terminal: as `visible` does, with its colours if `in_colour`.

    Text that begins with a carriage return is a progress bar: the last state of each of its lines is kept, after one carriage return.
    """
    text = text.replace("\r\n", "\n")
    states = text.startswith("\r")
    if states:
        text = "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    if not in_colour:
        text = _COLOUR.sub("", text)
    shown = "".join(_between_colours(text))
    return f"\r{shown}" if states else shown


def message_text(text: str) -> str:
    """Return the text for a message, title or notification of an editor: as `visible` does, shortened, and without links.

    Editors treat such text as plain text or as Markdown, so nothing is escaped: a space is inserted where a link or a tag would begin.
    """
    if len(text) > MAX_MESSAGE_CHARACTERS:
        half = MAX_MESSAGE_CHARACTERS // 2 - 2
        text = f"{text[:half]} … {text[-half:]}"
    return _LINK.sub(r"\g<0> ", visible(text))


def json_text(value: Any, *, indent: int | None = None) -> str:
    """Return a value as JSON in which every character that is not inert is escaped. Values without a JSON form are converted to a mapping."""
    return _UNSAFE.sub(_json_escape, json.dumps(value, ensure_ascii=False, indent=indent, default=dict))


def _between_colours(text: str) -> Iterator[str]:
    position = 0
    for colour in _COLOUR.finditer(text):
        yield visible(text[position : colour.start()])
        yield colour[0]
        position = colour.end()
    yield visible(text[position:])


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    if character in _JOINERS and _joins(match):
        return character
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def _joins(match: re.Match[str]) -> bool:
    """Return whether a joiner stands between characters of a script, or between emoji, that need it."""
    around = match.string[match.start() - 1 : match.start()] + match.string[match.end() : match.end() + 1]
    return len(around) == 2 and all(not each.isascii() and unicodedata.category(each)[0] in "LMS" for each in around)


def _json_escape(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2))
