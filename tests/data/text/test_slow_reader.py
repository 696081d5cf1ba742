from __future__ import annotations

import csv
import io

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.text.slow_reader import ARMED, INSIDE, count_from, records_of

ANY_TEXT = st.text(st.sampled_from('",\n\r;x#\t\0é'), max_size=80)


@given(text=ANY_TEXT, delimiter=st.sampled_from(",;\t"))
@settings(max_examples=1000, deadline=None)
def test_the_slow_reader_reads_as_pythons_csv_does(text: str, delimiter: str) -> None:
    expected = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row]
    assert [[cell.decode() for cell in row] for row in records_of(text.encode(), delimiter.encode())] == expected


@given(text=ANY_TEXT)
@settings(max_examples=300, deadline=None)
def test_counting_from_the_beginning_counts_the_records(text: str) -> None:
    count, state = count_from(text.encode(), ARMED, True)
    open_end = text != "" and (state == INSIDE or not text.endswith(("\n", "\r")))
    assert count + open_end == len(records_of(text.encode()))


@given(text=ANY_TEXT, cut=st.integers(0, 80))
@settings(max_examples=300, deadline=None)
def test_counting_in_two_pieces_is_counting_in_one(text: str, cut: int) -> None:
    whole = text.encode()
    first, state = count_from(whole[:cut], ARMED, True)
    newline = not whole[:cut] or whole[:cut].endswith((b"\n", b"\r"))
    second, end = count_from(whole[cut:], state, newline)
    assert (first + second, end) == count_from(whole, ARMED, True)
