from __future__ import annotations

import pytest

from analystd.agent.repetition import repeated_tail


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("The file has 2 rows.", "The file has 2 rows."),
        ("Head\n" + "-" * 40, "Head\n" + "-" * 40),
        ("It has\n" + "The answer is forty-two.\n" * 3, "It has\nThe answer is forty-two.\n"),
        ("0." + "0" * 200, "0.0"),
        ("no no no", "no no no"),
        ("", ""),
        ("The shape:\n" + "Shape: 3 rows × 6 columns\n\n" * 5, "The shape:\nShape: 3 rows × 6 columns\n\n"),
    ],
)
def test_only_what_repeats_is_cut(text: str, kept: str) -> None:
    assert text[: len(text) - repeated_tail(text)].rstrip() == kept.rstrip()


def test_a_table_with_like_rows_is_no_repetition() -> None:
    table = "\n".join(f"row {number}  0.0  0.0" for number in range(50))
    assert repeated_tail(table) == 0
