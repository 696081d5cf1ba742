from __future__ import annotations

import pytest

from analystd.agent.number_check import Sources, unsupported_numbers


def wrong(answer: str, *sources: str) -> list[str]:
    return [each.text for each in unsupported_numbers(answer, Sources(sources))]


@pytest.mark.parametrize(
    ("answer", "source"),
    [
        ("The mean is 16.44.", "mean temp_max: 16.4391"),
        ("It is 16.", "16.4391"),
        ("The mean is 1,234.5.", "1234.5"),
        ("1 234 567 rows".replace(" ", "\u202f", 2), "1234567"),
        ("A share of 12.5%.", "share: 0.125"),
        ("A share of 12.5 %.", "12.5"),
        ("It fell by 25%.", "max drawdown -0.25"),
        ("About 1.2 million.", "1234567.0"),
        ("It fell to \N{MINUS SIGN}3.5.", "-3.5"),
        ("p = 1.2e-05", "p-value 0.0000123"),
        ("1. The mean is 4.\n2. The sum is 8.", "4 8"),
        ("From 2024-01-03 to 2024-02-10.", "first 2024-01-03 last 2024-02-10"),
        ("Column x1 and v2.0b hold text.", "nothing"),
        ("At 09:30 it was 5.", "09:30 5"),
        ("The value is 1234.50", "1,234.5"),
    ],
)
def test_numbers_that_were_printed_are_supported_as_they_are_rounded(answer: str, source: str) -> None:
    assert wrong(answer, source) == []


@pytest.mark.parametrize(
    ("answer", "source", "found"),
    [
        ("The mean is 16.54.", "16.4391", ["16.54"]),
        ("The mean is 16.4391.", "16.44", ["16.4391"]),
        ("12 of 300 rows", "12 rows", ["300"]),
        ("A share of 13%.", "0.125 12.5", []),
        ("A share of 14%.", "0.125 12.5", ["14%"]),
        ("About 1.3 million.", "1234567.0", ["1.3"]),
        ("7", "", ["7"]),
    ],
)
def test_numbers_from_nowhere_are_found(answer: str, source: str, found: list[str]) -> None:
    assert wrong(answer, source) == found


def test_where_a_number_stands_is_told() -> None:
    answer = "The sum is 5 and the mean 17.25."
    (found,) = unsupported_numbers(answer, Sources(["5"]))
    assert answer[found.start : found.end] == found.text == "17.25"


def test_a_huge_output_is_no_trouble() -> None:
    sources = Sources([" ".join(map(str, range(500_000)))])
    assert [each.text for each in unsupported_numbers("From 1 to 199,999.", sources)] == []
