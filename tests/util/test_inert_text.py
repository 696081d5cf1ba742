"""Foreign text before it is displayed."""

from __future__ import annotations

import json
import re
import sys
import unicodedata

import pytest

from analystd.util import inert_samples
from analystd.util.inert_samples import SAMPLES, failures, is_inert
from analystd.util.inert_text import (
    MAX_MESSAGE_CHARACTERS,
    json_text,
    masked,
    message_text,
    one_line,
    program_text,
    visible,
)


@pytest.mark.parametrize("text", SAMPLES.values(), ids=SAMPLES)
def test_nothing_remains_that_a_terminal_obeys_or_hides(text: str) -> None:
    for made in (visible(text), one_line(text), message_text(text), program_text(text, in_colour=False), masked(text)):
        assert is_inert(made)
    assert len(masked(text)) == len(text)
    assert is_inert(json_text([text]))


def test_the_self_test_detects_samples_that_are_not_inert(monkeypatch: pytest.MonkeyPatch) -> None:
    assert failures() == []
    monkeypatch.setattr(inert_samples, "visible", lambda text: text)
    assert {"colour", "tags", "backspace"} <= set(failures())
    assert "link" not in failures()


def test_every_control_format_and_line_separating_character_is_shown_as_an_escape() -> None:
    for number in range(sys.maxunicode + 1):
        character = chr(number)
        if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and character not in "\t\n":
            assert visible(character).startswith("\\"), hex(number)
            assert "\\u" in json_text(character) or json_text(character)[1:-1] in {r"\r", r"\b", r"\f"}, hex(number)


def test_ordinary_text_stays_unchanged() -> None:
    text = "Zürich 東京 Москва\tα ≤ β\nnächste\r\n“quoted” — 100 €"
    assert visible(text) == text
    assert message_text(text) == text


def test_joiners_stay_where_a_script_or_an_emoji_needs_them() -> None:
    family, persian = "👨\u200d👩\u200d👧", "می\u200cخواهم"
    assert visible(family + persian) == family + persian
    assert visible("ab\u200dcd") == "ab\\u200dcd"
    assert visible("\u200d\u200d👧") == "\\u200d\\u200d👧"


def test_one_line_is_one_line() -> None:
    assert one_line("a\nb\tc\r\nd") == "a\\nb\\tc\\r\\nd"


def test_json_keeps_its_value_and_is_inert() -> None:
    value = {name: [text, {text: None}] for name, text in SAMPLES.items()}
    assert json.loads(json_text(value, indent=2)) == value
    assert is_inert(json_text(value, indent=2))


def test_a_program_keeps_its_colours_and_nothing_else() -> None:
    text = "\x1b[1;31mred\x1b[0m \x1b[38;2;1;2;3mrgb\x1b[m \x1b[2J\x1b]0;t\x07"
    assert program_text(text, in_colour=True) == (
        "\x1b[1;31mred\x1b[0m \x1b[38;2;1;2;3mrgb\x1b[m \\x1b[2J\\x1b]0;t\\x07"
    )
    assert program_text(text, in_colour=False) == "red rgb \\x1b[2J\\x1b]0;t\\x07"


def test_a_progress_bar_keeps_its_last_state_and_hides_nothing_else() -> None:
    assert program_text("\r 10%\r 50%\r100%\ndone\n", in_colour=True) == "\r100%\ndone\n"
    assert program_text("wrong!\rfine\n", in_colour=True) == "wrong!\\rfine\n"
    assert program_text("\r\nnext\r\n", in_colour=True) == "\nnext\n"


LINKS = [
    "[Continue](command:workbench.action.terminal.new)",
    '[Continue](https://host/leak "title")',
    "![x](https://host/leak)",
    "[x][r]\n[r]: https://host/leak",
    "<https://host/leak>",
    "<img src=https://host/leak>",
    "</span><!-- --><?x?>",
]


@pytest.mark.parametrize("text", LINKS)
def test_a_message_holds_no_link_no_image_and_no_tag(text: str) -> None:
    made = message_text(text)
    assert re.search(r"\][(:]|<[A-Za-z/!?]", made) is None
    assert made.replace(" ", "") == text.replace(" ", "")


def test_a_message_is_short() -> None:
    assert len(message_text("x" * 10**6)) <= MAX_MESSAGE_CHARACTERS
