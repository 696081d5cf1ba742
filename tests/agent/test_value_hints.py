from __future__ import annotations

from dataclasses import replace

import pytest

from analystd.agent.value_hints import (
    Contents,
    columns_for,
    hint_for_filters,
    hint_for_unused_values,
    hint_for_values_as_columns,
    impossible_filters,
    unused_values,
    values_as_columns,
)

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


def test_a_value_that_is_taken_for_a_column_is_said_to_be_one() -> None:
    found = values_as_columns(["male", "height"], CONTENTS)
    assert found == [("male", "sex")]
    hint = hint_for_values_as_columns(found, CONTENTS)
    assert hint.startswith(
        "There is no column 'male': that is a value of 'sex'. Filter for it, df[df['sex'] == 'male'], or make columns"
    )
    assert hint.endswith("of the values first, wide = df.pivot(index=…, columns='sex', values='year').")
    dated = replace(CONTENTS, dates={"people.csv": ("born",)})
    assert "df.pivot(index='born', columns='sex', values='year')" in hint_for_values_as_columns(found, dated)


def test_where_tables_have_a_key_in_common_the_merge_is_written_out() -> None:
    contents = Contents(
        values={"people.csv": {"continent": ("Asia", "Europe")}, "areas.csv": {"Area": ("South Asia", "Europe")}},
        columns={"people.csv": ("country", "continent"), "areas.csv": ("Country", "Area")},
    )
    assert hint_for_filters([("continent", "South Asia")], contents).endswith(
        "merge them first: merged = pd.merge(people, areas, left_on='country', right_on='Country'), "
        "then merged[merged['Area'] == 'South Asia']."
    )


def test_the_only_column_that_has_a_text_is_found() -> None:
    filters = [("sex", "South Asia"), ("group", "male"), ("sex", "nowhere")]
    assert columns_for(filters, CONTENTS) == {("sex", "South Asia"): "area", ("group", "male"): "sex"}
    twice = replace(CONTENTS, values={**CONTENTS.values, "c.csv": {"zone": ("South Asia",)}})
    assert columns_for(filters[:1], twice) == {}


def test_a_name_is_of_a_kind_where_it_is_so_in_each_table_that_has_it() -> None:
    assert CONTENTS.in_all(CONTENTS.numbers) == {"year"}
    assert CONTENTS.in_all(CONTENTS.dates) == set()
    assert CONTENTS.without({"male"}) == {"year", "group", "area"}
    assert CONTENTS.without({"c", "?"}) == {"year", "sex", "area"}


@pytest.mark.parametrize(
    ("question", "code", "unused"),
    [
        ("Mean age of female passengers?", "df['age'].mean()", [("female", "sex")]),
        ("Mean age of Female passengers?", "df[df['sex'] == 'female']['age'].mean()", []),
        ("Mean age of female passengers?", "print('mean age of female:', df['age'].mean())", [("female", "sex")]),
        ("Mean age of female passengers?", "print(f'female: {df.age.mean()}')", [("female", "sex")]),
        ("Mean age of female passengers?", "print(f'{female.age.mean()}')", []),
        ("Mean age of female passengers?", "print(df.query(\"sex == 'female'\").age.mean())", []),
        ("Mean age, male and female?", "df.groupby('sex')['age'].mean()", []),
        ("Mean age of females?", "df['age'].mean()", []),
        ("A mean?", "df['age'].mean()", []),
        ("The mean of group a?", "df['age'].mean()", [("a", "group")]),
        ("How many in Europe?", "europe = 1", []),
    ],
)
def test_a_value_that_a_question_names_and_a_program_forgets_is_found(
    question: str, code: str, unused: list[tuple[str, str]]
) -> None:
    assert unused_values(question, code, CONTENTS) == unused


def test_what_is_said_of_a_forgotten_value() -> None:
    assert hint_for_unused_values([("female", "sex")]) == (
        "The question is about 'female', a value of 'sex', and the program does not filter for it."
    )
