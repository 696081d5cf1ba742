"""Texts and displays of any size in bounded memory."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from analystd.kernel.inside.output_limits import HeadTail, bounded_bundle, bounded_text, byte_length


def fed(pieces: list[str], head: int, tail: int) -> tuple[str, HeadTail]:
    bounds = HeadTail(head, tail)
    admitted = "".join(bounds.admit(piece) for piece in pieces)
    return admitted + bounds.rest(), bounds


def test_a_short_text_is_whole() -> None:
    assert fed(["ab", "cd"], 2, 2)[0] == "abcd"


def test_a_long_text_keeps_its_ends_around_a_mark() -> None:
    text, bounds = fed(["abc", "défgh", "ij"], 2, 3)
    assert text == "ab\n… [6 bytes cut] …\nhij"
    assert bounds.cut_bytes == 6


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text()), st.integers(0, 20), st.integers(0, 20))
def test_nothing_is_lost_unseen(pieces: list[str], head: int, tail: int) -> None:
    whole = "".join(pieces)
    text, bounds = fed(pieces, head, tail)
    if len(whole) <= head + tail:
        assert text == whole
    else:
        mark = f"\n… [{bounds.cut_bytes} bytes cut] …\n"
        assert text == whole[:head] + mark + whole[len(whole) - tail :]
        assert bounds.cut_bytes == byte_length(whole[head : len(whole) - tail])


def test_a_million_small_pieces_are_kept_as_few() -> None:
    bounds = HeadTail(0, 100_000)
    for _ in range(200_000):
        bounds.admit("xy")
    assert len(bounds._chunks) < 20
    assert bounds.rest() == "\n… [300000 bytes cut] …\n" + "xy" * 50_000


def test_a_text_within_its_limit_stays_as_it_is() -> None:
    assert bounded_text("abcd", 4) == "abcd"
    assert bounded_text("abcdef", 4) == "ab\n… [2 bytes cut] …\nef"


def test_a_bundle_loses_only_what_is_too_big() -> None:
    data = {"text/plain": "<Figure>", "image/png": "A" * 5_000_000, "text/html": "<b>"}
    note = "<Figure>\n… [image/png of 5.0 MB left out: more than 4.2 MB] …"
    assert bounded_bundle(data) == ({"text/plain": note, "text/html": "<b>"}, True)


def test_a_bundle_with_json_inside_is_measured_too() -> None:
    assert bounded_bundle({"application/json": {"a": [1, 2]}}) == ({"application/json": {"a": [1, 2]}}, False)
