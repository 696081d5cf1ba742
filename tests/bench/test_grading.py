"""The answers that the exam accepts as right, and those that it does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.exam.grading import Said, Verdict, grade, holds, holds_words, numbers_in, refuses
from bench.exam.questions import Asked, Expected, Made, Number, Refusal, Words
from hypothesis import given
from hypothesis import strategies as st

NOWHERE = Path("/nowhere")


def verdict(answer: str, *expected: Expected, question: str = "What is it?", **said: object) -> Verdict:
    return grade(Asked(question, expected), Said(answer, **said), NOWHERE).verdict  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "value", "decimals"),
    [
        ("The mean is 12.35.", 12.35, 2),
        ("**12.35**", 12.3456, 2),
        ("It is 12.345678, rounded 12.35", 12.345678, 2),
        ("about 12.3", 12.34, None),
        ("Total: 1,234,567.8 USD", 1234567.8, 1),
        ("Total: $1,234,567.80", 1234567.8, 2),
        ("1 234 567".replace(" ", "\u00a0"), 1234567, 0),
        ("1'234'567", 1234567, 0),
        ("1.234.567,89 €", 1234567.89, 2),
        ("Der Mittelwert ist 12,35.", 12.35, 2),
        ("1,234 rows", 1234, 0),
        ("it is 0,123 (German)", 0.123, 3),
        ("12.3 %", 0.123, 3),
        ("12.3%", 12.3, 1),
        ("12.3 percent", 0.123, 3),
        ("−4.5", -4.5, 1),
        ("-4.5", -4.5, 1),
        ("(-4.5)", -4.5, 1),
        ("r = -0.87", -0.87, 2),
        ("it fell by 4.5 %", -4.5, 1),
        ("The p-value is 1.2e-5.", 0.000012, None),
        ("The p-value is 1.2 × 10⁻⁵.", 0.000012, None),
        ("The p-value is 1.2 x 10^-5.", 0.000012, None),
        ("about 1.23 million", 1234567, None),
        ("3.2 bn", 3.2e9, None),
        ("There are three species.", 3, 0),
        ("In 2012-07 it peaked", 2012, 0),
        ("x=5", 5, 0),
        ("[5]", 5, 0),
        ("mean_price: 7.25", 7.25, 2),
        ("`7.25`", 7.25, 2),
        ("between 3-5", 5, 0),
        ("between 3 - 5", 5, 0),
        ("By species:\n- 124 Gentoo\n- 68 Chinstrap", 124, 0),
        ("-$4.50", -4.5, 2),
        ("+4.5", 4.5, 1),
        (".5", 0.5, 1),
        ("the answer is 0.", 0, None),
    ],
)
def test_a_number_is_found_however_it_is_written(text: str, value: float, decimals: int | None) -> None:
    assert holds(Number(value, decimals), text)


@pytest.mark.parametrize(
    ("text", "value", "decimals"),
    [
        ("The mean is 12.36.", 12.3456, 2),
        ("The mean is 12.3.", 12.3456, 2),
        ("The mean is 12.2.", 12.34, None),
        ("1,235", 1234, 0),
        ("4.5", -4.5, 1),
        ("-4.5", 4.5, 1),
        ("12.3", 0.123, 3),
        ("0.123", 12.3, 1),
        ("1.2e-4", 0.000012, None),
        ("column x5", 5, 0),
        ("v2.5.1b", 2.5, 1),
        ("2012-07-05", 7, 0),
        ("1. first\n2. second", 2, 0),
        ("123456", 12345, 0),
        ("0.0", 0.000012, None),
        ("nan", float("nan"), 2),
        ("no number", 5, 0),
        ("", 0, 0),
    ],
)
def test_a_near_miss_is_a_miss(text: str, value: float, decimals: int | None) -> None:
    assert not holds(Number(value, decimals), text)


def test_both_roundings_of_a_half_are_right() -> None:
    assert holds(Number(2.675, 2), "2.67")
    assert holds(Number(2.675, 2), "2.68")
    assert not holds(Number(2.675, 2), "2.66")


@given(
    st.integers(-(10**9), 10**9),
    st.integers(0, 6),
    st.sampled_from(["{:.{}f}", "{:,.{}f}", "about {:.{}f} units", "= {:.{}f}."]),
)
def test_any_number_is_found_as_it_is_asked_for_and_its_neighbours_are_not(
    digits: int, decimals: int, form: str
) -> None:
    value = digits / 10**decimals
    assert holds(Number(value, decimals), form.format(value, decimals))
    for other in (digits - 1, digits + 1):
        said = form.format(other / 10**decimals, decimals)
        # A single comma may be a decimal comma.
        assert not holds(Number(value, decimals), said) or ("," in said and "." not in said.rstrip("."))


def test_numbers_of_lists_and_dates_are_none() -> None:
    assert [
        each.text for each in numbers_in("1. On 2024-01-05 it was 7.\n2) On 2024/02/06 it was 8.") if each.counts
    ] == [
        "7",
        "8",
    ]


def test_a_right_number_beside_few_others_is_right_and_in_a_heap_it_is_not() -> None:
    assert verdict("The mean is 7.5, the median 7.1 (n = 20).", Number(7.5, 1)) == "right"
    heap = ", ".join(f"{number}.5" for number in range(30))
    assert verdict(heap, Number(7.5, 1)) == "wrong"


def test_the_rows_of_a_table_are_no_heap_where_the_value_stands_in_a_sentence() -> None:
    rows = "\n".join(f"{label}   C00{label}   Köln   {2000 + label}-03-14" for label in range(10, 22))
    assert verdict(f"There are 12 of them:\n{rows}", Number(12.0, 0)) == "right"
    assert verdict(f"These are they:\n{rows}\n12   C0012   Gent   7", Number(7.0, 0)) == "wrong"
    assert verdict("| 1 | 2 | 3 |\n| 4 | 5 | 6 |\nIt is 12.", Number(12.0, 0)) == "right"


def test_numbers_of_the_question_are_no_heap() -> None:
    question = "Which share of 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 8.5 and 9.5?"
    assert verdict("Of 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 8.5 and 9.5: 0.25", Number(0.25, 2), question=question) == "right"


def test_each_value_counts_and_one_that_is_wrong_makes_the_answer_wrong() -> None:
    asked = Asked("Mean and median?", (Number(1.5, 1, "mean"), Number(2.5, 1, "median")))
    right = grade(asked, Said("mean 1.5, median 2.5"), NOWHERE)
    assert (right.verdict, right.held, right.asked) == ("right", 2, 2)
    half = grade(asked, Said("mean 1.5, median 2.6"), NOWHERE)
    assert (half.verdict, half.held, half.asked, half.wrong) == ("wrong", 1, 2, ("no median 2.5",))


def test_words_stand_whole_and_in_any_case() -> None:
    assert holds_words(Words(("Gentoo",)), "The heaviest are the GENTOO penguins.")
    assert holds_words(Words(("New York", "NY")), "It is New\nYork.")
    assert not holds_words(Words(("rain",)), "It was the train.")
    assert not holds_words(Words(("Gentoo",)), "Adelie")


def test_an_answer_that_says_that_it_has_none_is_refused_and_not_wrong() -> None:
    assert verdict("The data has no column for it.", Number(5, 0)) == "refused"
    assert verdict("There is no result: the last 4 programs failed", Number(5, 0), finished=False) == "refused"
    assert verdict("", Number(5, 0)) == "refused"
    assert verdict("It is 6.", Number(5, 0)) == "wrong"
    assert verdict("It is 6, and there is no other.", Number(5, 0)) == "wrong"


def test_a_number_of_the_files_description_that_is_stated_as_the_answer_is_wrong() -> None:
    assert verdict("The output is 0, so there are no such rows.", Number(5, 0), facts="survived: 0 to 1") == "wrong"


def test_a_wrong_answer_whose_number_is_marked_is_marked() -> None:
    assert verdict("It is 6.", Number(5, 0), marked=True) == "marked"
    assert verdict("It is 5.", Number(5, 0), marked=True) == "right"


def test_where_nothing_can_be_answered_a_refusal_is_right() -> None:
    assert verdict("The file has no column with salaries.", Refusal()) == "right"
    assert verdict("prices.csv does not contain data for 2031.", Refusal(), question="And in 2031?") == "right"
    assert verdict("The average salary is 52000.", Refusal()) == "wrong"
    assert verdict("There is no such column, but the salary is about 52000.", Refusal()) == "wrong"
    assert verdict("The average salary is 52000.", Refusal(), marked=True) == "marked"


def test_a_run_that_ends_without_an_answer_has_said_nothing_wrong() -> None:
    assert verdict("There is no result: the last 4 programs failed", Refusal(), finished=False) == "refused"


def test_a_refusal_may_repeat_what_the_files_hold() -> None:
    said = Said("There are 344 rows, but no column for the price.", facts="penguins.csv: 344 rows, 8 columns")
    assert refuses(said, "What do they cost?")
    assert not refuses(Said("There is no price, I would say 12.5."), "What do they cost?")


def test_many_values_may_stand_in_the_output() -> None:
    numbers = tuple(Number(number + 0.5, 1) for number in range(10))
    printed = " ".join(str(number + 0.5) for number in range(10))
    assert verdict("They are printed above.", *numbers, outputs=(printed,)) == "right"
    assert verdict("They are printed above.", *numbers[:3], outputs=(printed,)) == "wrong"


def test_a_file_is_checked_and_one_that_cannot_be_read_is_wrong(tmp_path: Path) -> None:
    def check(folder: Path) -> str | None:
        return None if (folder / "a.txt").read_text() == "x" else "it is not x"

    asked = Asked("Write it.", (Made(check),))
    assert "cannot be checked: FileNotFoundError" in grade(asked, Said("Done."), tmp_path).wrong[0]
    (tmp_path / "a.txt").write_text("y")
    assert grade(asked, Said("Done."), tmp_path).wrong == ("it is not x",)
    (tmp_path / "a.txt").write_text("x")
    assert grade(asked, Said("Done."), tmp_path).verdict == "right"
