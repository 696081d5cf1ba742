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
        # In German notation, both in answers and in printed German files.
        ("Der Mittelwert ist 1.234,5.", "1234.5"),
        ("Der Anteil ist 12,5 %.", "0.125"),
        ("Summe: 1.234.567,89 €", "1234567.89"),
        ("Summe: 1.234.567", "1234567"),
        ("Rund 1,2 Mio. Euro, 3,4 Mrd. Dollar", "1234567 3400000000"),
        ("The total is 1,234.56.", "Summe 1.234,56"),
        ("The total is 1,234,567.89.", "1.234.567,89"),
        # Other thousands separators.
        ("1'234'567 and 1’234", "1234567 1234"),
        ("1 234 567 rows", "1_234_567"),
        ("Columns of 10,20 and 5 100 values", "10 20 5 100"),
        ("It lists 200.", "[100,200,300]"),
        ("It lists 200.", "2024,100,200,5"),
        # Shares.
        ("A share of 0.125.", "12.5%"),
        ("It is 12.5 percent, or 12.5 pct, or 12,5 Prozent.", "0.125"),
        ("A share of 12.5 %.", "0.125"),
        # Powers of ten.
        ("p = 1.2 × 10⁻⁵", "1.23e-05"),
        ("p = 1.2 \\times 10^{-5}", "0.0000123"),
        ("p = 1.2 x 10^-5 or 1.2*10**-5", "1.23e-05"),
        ("1.2E+06", "1234567"),
        ("p < .05", "0.05"),
        # Units.
        ("About 1.2M, 1.2 million or 1,235k", "1234567"),
        ("It is $1.2bn.", "1234567890"),
        # Signs.
        ("A loss of $3.50, -$3.50", "loss: -3.50"),
        ("A loss of -3.50", "(3.50)"),
        ("A loss of $-3.50", "-$3.50"),
        ("x=-5", "-5"),
        # Rounding to even and up, both ways.
        ("0.12 and 0.13", "0.125"),
        ("2 and 3", "2.5"),
        ("-2 and -3", "-2.5"),
        ("1.00", "0.995"),
        # Dates, times, names, and numbers of items.
        ("On 03.01.2024, that is 3 January 2024, at 09:30:15", "2024-01-03 09:30:15"),
        ("From 1/3/2024 on", "2024-01-03"),
        ("Version 1.2.3 at 10.0.0.1", "1.2.3 10.0.0.1"),
        ("GPT-4, x_7, Q3, 2nd, 3D and sales_2023.csv", ""),
        ("Step 1: Schritt 2, Figure 3. Table 4", ""),
        ("- 1. one\n**2.** two\n(3) three\n 4: four", ""),
        # Approximate numbers.
        ("About 1,200 rows, ~1,230, rund 1.200", "1234"),
        ("approximately $1,200", "1234"),
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
        ("Der Mittelwert ist 1.234,6.", "1234.5", ["1.234,6"]),
        ("Der Mittelwert ist 16,54.", "16.4391", ["16,54"]),
        ("1,234.5 and 1.234,5", "1235", ["1,234.5", "1.234,5"]),
        ("It rose by -3.5.", "3.5", ["-3.5"]),
        ("It fell to −3.5 %.", "3.5%", ["−3.5 %"]),
        ("0.11 and 0.14", "0.125", ["0.11", "0.14"]),
        ("p = 3.2e-12", "0.0 1e-10", ["3.2e-12"]),
        ("p = 3 × 10⁻⁵", "1.23e-05", ["3 × 10⁻⁵"]),
        ("About 1,300 rows, 1,200 rows", "1234", ["1,300", "1,200"]),
        ("About 2,000", "1234", ["2,000"]),
        ("On 2024-01-04 at 09:31", "2024-01-03 09:30", ["2024-01-04", "09:31"]),
        ("Version 1.2.4", "1.2.3", ["1.2.4"]),
        ("It was 2023.", "2024-01-03", ["2023"]),
        ("About 1.3M", "1234567", ["1.3"]),
        ("12.5", "12.5kg 12", []),
        ("9" * 400, "1", ["9" * 400]),
        ("about " + "9" * 400, "1", ["9" * 400]),
        ("1e9999", "1", ["1e9999"]),
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


@pytest.mark.parametrize(
    "text", ["1-" * 40_000, "1," * 40_000, "1 234 " * 20_000, "about " * 20_000, "9" * 100_000, "1e" * 50_000]
)
@pytest.mark.timeout(20)
def test_no_answer_takes_long(text: str) -> None:
    unsupported_numbers(text, Sources([text]))
