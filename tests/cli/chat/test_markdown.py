"""The model's Markdown in a terminal, in pieces of any size."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from analystd.cli.chat.markdown import MarkdownPrinter
from analystd.cli.output import InertWriter
from analystd.util.inert_text import visible

STYLE = re.compile(r"\x1b\[[0-9;]*m")

MARKED = st.text(
    st.sampled_from(
        ["*", "`", "#", "-", "|", ">", " ", "\n", ":", "~", "a", "1", "é", "\u200d", "👩", "\r", "\t", "\x1b"]
    )
)
"""Text in which every mark is likely, and what could be obeyed."""


class Colourful(io.StringIO):
    def isatty(self) -> bool:
        return True


def printed(*pieces: str, colour: bool = True) -> str:
    stream = Colourful() if colour else io.StringIO()
    printer = MarkdownPrinter(InertWriter(stream))
    for piece in pieces:
        printer.feed(piece)
    printer.end()
    return stream.getvalue()


def runs_of_style(shown: str) -> list[tuple[str, str]]:
    """Each character with its style: the same however the text was cut into pieces."""
    styled, style, position = [], "", 0
    for found in [*STYLE.finditer(shown), None]:
        end = len(shown) if found is None else found.start()
        styled += [(character, style) for character in shown[position:end] if character != "\n"]
        if found is not None:
            style, position = "" if found[0] == "\x1b[0m" else found[0], found.end()
    return styled


@given(MARKED, st.lists(st.integers(1, 7)))
def test_the_size_of_the_pieces_makes_no_difference(text: str, lengths: list[int]) -> None:
    pieces, rest = [], text
    for length in lengths:
        pieces.append(rest[:length])
        rest = rest[length:]
    assert runs_of_style(printed(*pieces, rest)) == runs_of_style(printed(text))


@given(st.one_of(MARKED, st.text()))
def test_styles_are_the_only_control_sequences_in_the_output(text: str) -> None:
    shown = STYLE.sub("", printed(text))
    assert visible(shown) == shown


@given(MARKED, st.lists(st.integers(1, 7)))
@example("\r\r\n", [])
def test_without_colours_the_text_is_as_it_was_written(text: str, lengths: list[int]) -> None:
    pieces, rest = [], text
    for length in lengths:
        pieces.append(rest[:length])
        rest = rest[length:]
    *ended, last = text.split("\n")
    # A carriage return before a line end is part of it; any other, also one before that, is shown.
    wanted = "".join(visible(line.removesuffix("\r")) + "\n" for line in ended) + visible(last)
    assert printed(*pieces, rest, colour=False) == (f"{wanted}\n" if wanted and not wanted.endswith("\n") else wanted)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("# Title", "\x1b[1;4mTitle\x1b[0m\n"),
        ("### Part", "\x1b[1mPart\x1b[0m\n"),
        ("a **b** c", "a \x1b[1mb\x1b[0m c\n"),
        ("use `df`", "use \x1b[36mdf\x1b[0m\n"),
        ("- one\n  * two", "• one\n  • two\n"),
        ("> said", "\x1b[2m│ \x1b[0m\x1b[2msaid\x1b[0m\n"),
        ("```python\n**x**\n```\nend", "\x1b[36m    **x**\n\x1b[0mend\n"),
        ("| a | n |\n|---|--:|\n| **x** | 7 |\n| y | 12 |", "\x1b[1ma   n\n\x1b[0mx   7\ny  12\n"),
    ],
)
def test_marks_become_styles(text: str, shown: str) -> None:
    assert printed(text) == shown


@pytest.mark.parametrize(
    "text",
    ["2**10 and 3**2", "x ** 2 ** 3", "**kwargs are passed", "5 * 3 * 2", "an `open tick", "|a|", "-5 is less", "#1"],
)
def test_text_that_is_not_markup_stays(text: str) -> None:
    assert printed(text) == f"{text}\n"


def test_a_line_is_shown_before_it_is_complete() -> None:
    stream = Colourful()
    MarkdownPrinter(InertWriter(stream)).feed("The mean is 11.2")
    assert stream.getvalue() == "The mean is 11.2"


def test_wide_characters_are_aligned_by_the_columns_that_they_take() -> None:
    assert STYLE.sub("", printed("| a | b |\n|---|---|\n| 日本 | 1 |\n| x | 2 |")) == "a     b\n日本  1\nx     2\n"


def test_a_table_that_grows_without_end_is_not_held_back() -> None:
    stream = Colourful()
    printer = MarkdownPrinter(InertWriter(stream))
    for _ in range(100_000):
        printer.feed("| a | b |\n")
    assert len(stream.getvalue()) > 500_000
