"""Replies that are not accepted, and the numbers in them that are marked."""

from __future__ import annotations

import pytest

from analystd.agent.review import Reviewer


@pytest.mark.parametrize(
    ("answer", "marked"),
    [
        ("It is 99.", ["99"]),
        ("It is 5.", ["5"]),
        ("It is not significant at the 5 % level (0.05).", []),
        ("The 95% confidence interval is as printed.", []),
        ("It is 95.", ["95"]),
    ],
)
def test_levels_of_significance_need_no_output_and_plain_numbers_do(answer: str, marked: list[str]) -> None:
    assert [each.text for each in Reviewer(("What is it?",), "What is it?").unsupported(answer, [])] == marked
