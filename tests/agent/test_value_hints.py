from __future__ import annotations

import pytest

from analystd.agent.value_hints import Contents, hint_for_filters, impossible_filters

CONTENTS = Contents(
    values={
        "people.csv": {"sex": ("male", "female"), "group": ("a", "b")},
        "areas.csv": {"area": ("South Asia", "Europe"), "group": ("c",)},
    },
    numbers={"people.csv": ("year", "age"), "areas.csv": ()},
    columns={"people.csv": ("sex", "group", "year", "age", "name"), "areas.csv": ("area", "group", "name", "age")},
)


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("df[df['sex'] == 'Male']", [("sex", "Male")]),
        ("df[df.sex == 'Male']", [("sex", "Male")]),
        ("df.loc[df['sex'] == 'male', 'age']", []),
        ("df[df['sex'] != 'Male']", []),
        ("df[df['sex'].isin(['male', 'Female', 3])]", [("sex", "Female")]),
        ("df[df['sex'].str.lower() == 'Male']", []),
        ("df['sex'] = df['sex'].str.title()\ndf[df['sex'] == 'Male']", []),
        ("df.loc[:, 'sex'] = 1\ndf[df['sex'] == 'Male']", []),
        ("df[df['year'] == '2007']", [("year", "2007")]),
        ("df[df['year'] == 2007]", []),
        ("df[df['age'] == '7']", []),
        ("df[df['group'] == 'c']", []),
        ("df[df['group'] == 'd']", [("group", "d")]),
        ("df[df['name'] == 'zzz']", []),
        ("df[df['unknown'] == 'zzz']", []),
        ("df[(df['sex'] == 'Male') & (df['sex'] == 'Male')]", [("sex", "Male")]),
        ("this is no program", []),
        ("(" * 5000, []),
    ],
)
def test_filters_that_can_find_nothing_are_found(code: str, found: list[tuple[str, str]]) -> None:
    assert impossible_filters(code, CONTENTS) == found


def test_what_is_said_names_the_values_the_nearest_and_where_the_text_stands() -> None:
    assert hint_for_filters([("sex", "Male")], CONTENTS) == (
        "No row has 'Male' (did you mean 'male'?) in 'sex', whose values are 'male', 'female'."
    )
    assert hint_for_filters([("sex", "South Asia")], CONTENTS).endswith(
        "It is a value of 'area' of areas.csv: if the tables belong together, merge them first."
    )
    assert hint_for_filters([("year", "2007")], CONTENTS) == (
        "'year' holds numbers, so no row equals the text '2007': leave out the quotes."
    )
    assert len(hint_for_filters([("sex", "x" * 100_000)], CONTENTS)) < 200
