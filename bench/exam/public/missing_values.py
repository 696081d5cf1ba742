"""Questions about missing values, and about figures for which their treatment is prescribed."""

from __future__ import annotations

from pathlib import Path

from bench.exam.questions import Question
from bench.exam.tables import read
from bench.exam.writing import count, number, one, words

FAMILY = "missing-values"


def questions(folder: Path) -> list[Question]:
    """Return the questions of this family."""
    titanic = read(folder / "titanic.csv")
    penguins = read(folder / "penguins.csv")
    raw = read(folder / "penguins_raw.csv")
    elements = read(folder / "elements.csv")
    co2 = read(folder / "co2.csv")
    cars = read(folder / "cars.csv")
    lincoln = read(folder / "lincoln_weather.csv")
    marriages = read(folder / "marriages.csv")
    airports = read(folder / "airports.csv")
    routes = read(folder / "routes.csv")
    us_airports = read(folder / "us_airports.csv")
    holes = elements.isna().sum()
    age = titanic["age"]
    by_class = titanic.groupby("class")["age"]
    tmax = lincoln.set_index("DATE")["TMAX"]
    divorces = marriages.set_index("Year")["Divorces"]
    filled = cars["Horsepower"].fillna(cars["Horsepower"].median())
    return [
        one("ages", FAMILY, "titanic.csv", "For how many passengers is the age unknown?", count(age.isna().sum())),
        one(
            "share",
            FAMILY,
            "titanic.csv",
            "What percentage of the ages is missing? Two decimals.",
            number(100 * age.isna().mean(), 2),
        ),
        one(
            "complete-rows",
            FAMILY,
            "penguins.csv",
            "How many rows of penguins.csv are complete, that is without any missing value?",
            count(len(penguins.dropna())),
        ),
        one(
            "all-cells",
            FAMILY,
            "penguins.csv",
            "count all missing cells of the table, every column together",
            count(penguins.isna().sum().sum()),
        ),
        one(
            "emptiest-column",
            FAMILY,
            "elements.csv",
            "Which column has most missing values?",
            words(holes.idxmax()),
        ),
        one(
            "columns-with-holes",
            FAMILY,
            "penguins_raw.csv",
            "How many of the columns contain at least one missing value?",
            count((raw.isna().sum() > 0).sum()),
        ),
        one(
            "empty-columns",
            FAMILY,
            "airports.csv",
            "How many columns are entirely empty?",
            count(airports.isna().all().sum()),
        ),
        one(
            "fill-median",
            FAMILY,
            "cars.csv",
            "Replace missing Horsepower by the median of the known values. What is the mean Horsepower then, to 3 decimals?",
            number(filled.mean(), 3),
        ),
        one(
            "fill-zero",
            FAMILY,
            "cars.csv",
            "If you treat missing Miles_per_Gallon as 0, what is the average? 3 decimals.",
            number(cars["Miles_per_Gallon"].fillna(0).mean(), 3),
        ),
        one(
            "fill-group-mean",
            FAMILY,
            "titanic.csv",
            "Fill each missing age with the mean age of the passenger's class. What is the sample standard deviation of age then, 2 decimals?",
            number(age.fillna(by_class.transform("mean")).std(), 2),
        ),
        one(
            "forward-fill",
            FAMILY,
            "co2.csv",
            "Carry the last known co2 value forward over the gaps. What is the mean of the column then? 3 decimals.",
            number(co2["co2"].ffill().mean(), 3),
        ),
        one(
            "interpolate",
            FAMILY,
            "co2.csv",
            "Interpolate missing co2 values linearly between their neighbours (by row). Mean afterwards, rounded to 4 decimals?",
            number(co2["co2"].interpolate().mean(), 4),
        ),
        one(
            "longest-gap",
            FAMILY,
            "co2.csv",
            "How many rows has the longest unbroken run of missing co2 values?",
            count(_longest_run(co2["co2"].isna().tolist())),
        ),
        one(
            "date-of-gap",
            FAMILY,
            "lincoln_weather.csv",
            "On which date is TMAX missing? YYYY-MM-DD.",
            words(*tmax[tmax.isna()].index),
        ),
        one(
            "years-unknown",
            FAMILY,
            "marriages.csv",
            "In which year after 1950 is the number of divorces first unknown?",
            count(divorces[(divorces.index > 1950) & divorces.isna()].index[0]),
        ),
        one(
            "class-with-most",
            FAMILY,
            "titanic.csv",
            "Which of the classes 1st, 2nd and 3rd has the highest share of unknown ages?",
            words(by_class.apply(lambda ages: ages.isna().mean()).loc[["1st", "2nd", "3rd"]].idxmax()),
        ),
        one(
            "two-files",
            FAMILY,
            "routes.csv us_airports.csv",
            "How many airports in us_airports.csv have no state?",
            count(us_airports["state"].isna().sum()),
        ),
        one(
            "never-filled",
            FAMILY,
            "routes.csv",
            "Which columns of routes.csv hold no value at all?",
            *(words(name) for name in routes.columns[routes.isna().all()]),
        ),
    ]


def _longest_run(flags: list[bool]) -> int:
    longest = current = 0
    for flag in flags:
        current = current + 1 if flag else 0
        longest = max(longest, current)
    return longest
