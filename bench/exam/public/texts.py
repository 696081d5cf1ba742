"""Questions about columns of text."""

from __future__ import annotations

from pathlib import Path

from bench.exam.questions import Question
from bench.exam.tables import read
from bench.exam.writing import count, number, one, words

FAMILY = "text-columns"


def questions(folder: Path) -> list[Question]:
    """Return the questions of this family."""
    cars = read(folder / "cars.csv")
    titanic = read(folder / "titanic.csv")
    airports = read(folder / "us_airports.csv")
    raw = read(folder / "penguins_raw.csv")
    riots = read(folder / "la_riots.csv")
    fuel = read(folder / "fuel_economy.csv")
    elements = read(folder / "elements.csv")
    store = read(folder / "superstore.csv")
    gap = read(folder / "gapminder.csv")
    crime = read(folder / "state_crime.csv")
    brand = cars["Name"].str.split().str[0]
    title = titanic["name"].str.extract(r", (\w+)")[0]
    family = titanic["name"].str.split(",").str[0]
    gears = fuel["trans"].str.extract(r"(\d)")[0].astype(float)
    mass = elements["atomic mass"].str.extract(r"([\d.]+)")[0].astype(float)
    name_words = airports["name"].str.lower().str.split()
    return [
        one(
            "contains",
            FAMILY,
            "cars.csv",
            "How many car names contain the word 'ford', upper or lower case alike?",
            count(cars["Name"].str.contains("ford", case=False).sum()),
        ),
        one(
            "first-word",
            FAMILY,
            "cars.csv",
            "Take the first word of Name as the brand. Which brand is most frequent?",
            words(brand.value_counts().index[0]),
        ),
        one(
            "brands",
            FAMILY,
            "cars.csv",
            "If the first word of each Name is its brand, how many different brands are there (as spelt)?",
            count(brand.nunique()),
        ),
        one(
            "titles",
            FAMILY,
            "titanic.csv",
            "Names look like 'Allen, Miss Elisabeth'. For how many passengers is the word right after the comma 'Miss'?",
            count((title == "Miss").sum()),
        ),
        one(
            "surname",
            FAMILY,
            "titanic.csv",
            "What is the most common surname, i.e. the part before the first comma?",
            words(family.value_counts().index[0]),
        ),
        one(
            "starts-with",
            FAMILY,
            "us_airports.csv",
            "count the airports whose name begins with 'San '",
            count(airports["name"].str.startswith("San ").sum()),
        ),
        one(
            "longest",
            FAMILY,
            "gapminder.csv",
            "Which country has the longest name (number of characters)?",
            words(max(gap["country"].unique(), key=len)),
        ),
        one(
            "mean-length",
            FAMILY,
            "us_airports.csv",
            "Average length of the airport names in characters, to 2 decimals?",
            number(airports["name"].str.len().mean(), 2),
        ),
        one(
            "digits",
            FAMILY,
            "fuel_economy.csv",
            "trans holds values like auto(l5) or manual(m6). Extract the digit. How many cars have 5 gears?",
            count((gears == 5).sum()),
        ),
        one(
            "prefix-group",
            FAMILY,
            "fuel_economy.csv",
            "Compare automatic and manual cars (trans starts with auto or manual): what is the mean cty of manual ones? 2 decimals.",
            number(fuel.loc[fuel["trans"].str.startswith("manual"), "cty"].mean(), 2),
        ),
        one(
            "comments",
            FAMILY,
            "penguins_raw.csv",
            "In how many rows do the Comments mention 'blood' in any case?",
            count(raw["Comments"].str.contains("blood", case=False, na=False).sum()),
        ),
        one(
            "ids",
            FAMILY,
            "penguins_raw.csv",
            "Individual ID is like N1A1. How many IDs end with A2?",
            count(raw["Individual ID"].str.endswith("A2").sum()),
        ),
        one(
            "initials",
            FAMILY,
            "la_riots.csv",
            "How many first names contain a middle initial, that is a single capital letter followed by a full stop?",
            count(riots["first_name"].str.contains(r"\b[A-Z]\.").sum()),
        ),
        one(
            "streets",
            FAMILY,
            "la_riots.csv",
            "How many addresses contain 'Ave' (exactly this spelling)?",
            count(riots["address"].str.contains("Ave", regex=False).sum()),
        ),
        one(
            "messy-numbers",
            FAMILY,
            "elements.csv",
            "Some values of atomic mass stand in square brackets, as [98]. Take them without the brackets: mean of all, 2 decimals?",
            number(mass.mean(), 2),
        ),
        one(
            "hyphen",
            FAMILY,
            "superstore.csv",
            "How many distinct cities have a name of at least two words (separated by blanks)?",
            count(sum(len(city.split()) > 1 for city in store["City"].unique())),
        ),
        one(
            "most-common-word",
            FAMILY,
            "us_airports.csv",
            "Split the names at blanks and ignore case. Which single word occurs most often?",
            words(name_words.explode().value_counts().index[0]),
        ),
        one(
            "vowels",
            FAMILY,
            "state_crime.csv",
            "How many of the names in the column state begin with a vowel (A, E, I, O, U)?",
            count(crime["state"].str[0].isin(list("AEIOU")).sum()),
        ),
    ]
