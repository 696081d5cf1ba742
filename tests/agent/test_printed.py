from __future__ import annotations

import pytest

from analystd.agent.printed import with_printed


@pytest.mark.parametrize(
    ("answer", "output"),
    [
        ("The mean is 42.42.", "mean: 42.421934"),
        ("The mean is 3 and the median is 4.", "mean: 3.0\nmedian: 4.0"),
        ("It is Berlin.", "city: Berlin"),
        ("It was saved.", "(no output)"),
        ("Many.", "\n".join(f"row {number}" for number in range(50))),
        ("The plot is shown.", "[1 plot was shown to the user]"),
        ("The mean is 3.", "mean: 3.0\n[2 plots were shown to the user]"),
        ("Long.", f"{'x' * 5000} 7"),
        ("mean: 3\nmedian: 4", "mean: 3\nmedian: 4"),
        ("The p-value is 0.0123.", "p: 1.23e-02"),
    ],
)
def test_an_answer_that_states_all_or_whose_output_is_long_stays_as_it_is(answer: str, output: str) -> None:
    assert with_printed(answer, output) == answer


def test_what_is_left_out_is_added_as_it_was_printed() -> None:
    assert (
        with_printed("The mean is 3.", "mean: 3.0\nmedian: 4.0\n")
        == "The mean is 3.\n\n```text\nmean: 3.0\nmedian: 4.0\n```"
    )
    assert with_printed("It is August.", "month 2024-08") == "It is August.\n\n```text\nmonth 2024-08\n```"


def test_what_is_printed_cannot_leave_its_fence() -> None:
    added = with_printed("So.", "```\nevil: 1\n````")
    assert added.startswith("So.\n\n`````text\n")
    assert added.endswith("\n`````")
