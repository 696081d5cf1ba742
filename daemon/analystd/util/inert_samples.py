"""Samples of hostile text, and a check that they are made inert."""

from __future__ import annotations

import json
import re
import unicodedata

from analystd.util.inert_text import json_text, message_text, one_line, program_text, visible

SAMPLES = {
    "colour": "\x1b[31mred",
    "clipboard": "\x1b]52;c;aGk=\x07",
    "hyperlink": "\x1b]8;;http://host\x1b\\label\x1b]8;;\x1b\\",
    "window title": "\x1b]0;title\x07",
    "device control": "\x1bP+q\x1b\\",
    "one-byte control sequence": "\x9b31m",
    "one-byte system command": "\x9d0;title\x9c",
    "erasing": "\x1b[2J\x1b[H",
    "carriage return": "hidden\rshown",
    "backspace": "a\x08b",
    "form feed and vertical tab": "a\x0c\x0bb",
    "delete and null": "a\x7fb\x00",
    "writing direction": "abc\u202ecba \u2066b\u2069",
    "zero width": "pass\u200bword\u200d\u200c\u2060\ufeff",
    "line separators": "a\u2028b\u2029c\x85d",
    "tags": "a\U000e0041\U000e007f",
    "half a surrogate pair": "a\ud800b",
    "link": "[Continue](command:workbench.action.terminal.new)",
    "image": "![x](https://host/leak)",
    "reference": "[x][r]\n[r]: https://host/leak",
    "tag": "<img src=https://host/leak> <https://host/leak>",
}

_UNSAFE_CATEGORIES = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_LINK = re.compile(r"\][(:]|<[A-Za-z/!?]")


def is_inert(text: str) -> bool:
    """Return whether the text contains nothing that a terminal obeys or hides, by Unicode's categories and not by the code under test."""
    return all(each in "\t\n" or unicodedata.category(each) not in _UNSAFE_CATEGORIES for each in text)


def failures() -> list[str]:
    """Return the names of the samples that are not made inert; an empty list is correct."""
    return [name for name, text in SAMPLES.items() if not _is_made_inert(text)]


def _is_made_inert(text: str) -> bool:
    shown = [visible(text), one_line(text), program_text(text, in_colour=False), message_text(text), json_text(text)]
    is_same_json = json.loads(json_text(text)) == text
    return all(map(is_inert, shown)) and is_same_json and _LINK.search(message_text(text)) is None
