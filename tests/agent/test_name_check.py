from __future__ import annotations

import pytest

from analystd.agent.name_check import names_from_nowhere

SOURCES = ("symbol,price\nACME Corp,3", "print(len(found))", "2 rows\nBerlin 7")


@pytest.mark.parametrize(
    ("question", "answer", "names"),
    [
        ("Which elements are they?", "The elements are Lithium and Helium.", ["Lithium", "Helium"]),
        ("Which city is the largest?", "The largest city is Berlin.", []),
        ("Which city is the largest?", "The largest city is **Paris**.", ["Paris"]),
        ("List the companies.", "1. Acme Corp\n2. Umbrella\n3. Initech: 7", ["Umbrella", "Initech"]),
        ("Which month?", "The month is January, by Pearson.", []),
        ("Which is it?", "It is Acme's, not Berlin's.", []),
        ("How many are there?", "There are 2, such as Lithium.", []),
        ("Welche Städte sind es?", "Es sind die Städte im Norden.", []),
        ("Welche Städte sind es?", "Es sind:\n- Hamburg\n- Berlin", ["Hamburg"]),
        ("Which?", "Both. The first is larger: It says so.", []),
        ("Which?", "", []),
    ],
)
def test_names_that_no_source_has_are_found_where_names_are_asked_for(
    question: str, answer: str, names: list[str]
) -> None:
    assert names_from_nowhere(question, answer, SOURCES) == names


def test_a_long_answer_takes_no_long_time_and_says_little() -> None:
    answer = " ".join(f"and Name{number}x" for number in range(20_000))
    assert len(names_from_nowhere("Who?", answer, SOURCES)) == 5
