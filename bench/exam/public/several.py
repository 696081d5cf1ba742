"""Questions that ask for several values in one answer."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from bench.exam.questions import Question
from bench.exam.tables import read
from bench.exam.writing import count, number, one, words

FAMILY = "several-values"


def questions(folder: Path) -> list[Question]:
    """Return the questions of this family."""
    penguins = read(folder / "penguins.csv")
    store = read(folder / "superstore.csv")
    weather = read(folder / "seattle_weather.csv")
    cars = read(folder / "cars.csv")
    gap = read(folder / "gapminder.csv")
    titanic = read(folder / "titanic.csv")
    macro = read(folder / "macro.csv")
    barley = read(folder / "barley.jsonl")
    engel = read(folder / "engel_eu.csv")
    prices = read(folder / "prices.csv")
    exercise = read(folder / "exercise.csv")
    iowa = read(folder / "iowa_electricity.csv")
    elements = read(folder / "elements.csv")
    crime = read(folder / "state_crime.csv")
    votes = read(folder / "election_survey.tsv")
    emissions = read(folder / "emissions.parquet")
    species = penguins["species"].value_counts()
    flipper = penguins["flipper_length_mm"]
    regions = store.groupby("Region")["Sales"].sum()
    top = store.groupby("Sub-Category")["Profit"].sum().sort_values(ascending=False)
    kinds = weather["weather"].value_counts()
    years = weather.groupby(pd.to_datetime(weather["date"]).dt.year)["temp_min"].mean()
    cylinders = cars.groupby("Cylinders")["Horsepower"].median()
    largest = gap[gap["year"] == 2007].nlargest(3, "pop")["country"]
    survived = titanic.groupby("class")["survived"].mean()
    quartiles = engel["income"].quantile([0.25, 0.5, 0.75])
    goog = prices[prices["Ticker"] == "GOOG"]
    votes_by = votes.groupby("vote")
    continents = gap[gap["year"] == 1957].groupby("continent")["lifeExp"].median()
    states = elements["standard state"].value_counts()
    extremes = crime.set_index("state")["hs_grad"]
    world = emissions[emissions["year"] == 2000]
    return [
        one(
            "species-counts",
            FAMILY,
            "penguins.csv",
            "How many penguins are there of each species?",
            *(count(species[name], name) for name in species.index),
        ),
        one(
            "mean-and-std",
            FAMILY,
            "penguins.csv",
            "Mean and sample standard deviation of flipper_length_mm, both to 2 decimals",
            number(flipper.mean(), 2, "mean"),
            number(flipper.std(), 2, "standard deviation"),
        ),
        one(
            "regions",
            FAMILY,
            "superstore.csv",
            "List total sales for every Region, rounded to 2 decimals.",
            *(number(value, 2, str(name)) for name, value in regions.items()),
        ),
        one(
            "best-and-worst",
            FAMILY,
            "superstore.csv",
            "Which Sub-Category earns most profit in total and which loses most? Give both names and amounts (two decimals).",
            words(top.index[0]),
            number(top.iloc[0], 2),
            words(top.index[-1]),
            number(top.iloc[-1], 2),
        ),
        one(
            "top-three",
            FAMILY,
            "superstore.csv",
            "the three Sub-Categories with the highest total profit, please",
            *(words(name) for name in top.index[:3]),
        ),
        one(
            "weather-counts",
            FAMILY,
            "seattle_weather.csv",
            "How often did each kind of weather occur?",
            *(count(kinds[name], name) for name in kinds.index),
        ),
        one(
            "yearly-minimum",
            FAMILY,
            "seattle_weather.csv",
            "Average temp_min for each year 2012 to 2015, two decimals each.",
            *(number(value, 2, str(year)) for year, value in years.items()),
        ),
        one(
            "shape",
            FAMILY,
            "cars.csv",
            "How many rows and columns does cars.csv have?",
            count(cars.shape[0], "rows"),
            count(cars.shape[1], "columns"),
        ),
        one(
            "median-by-cylinders",
            FAMILY,
            "cars.csv",
            "Give the median Horsepower for 4, 6 and 8 cylinders.",
            *(number(cylinders[each], 1, f"{each} cylinders") for each in (4, 6, 8)),
        ),
        one(
            "largest-countries",
            FAMILY,
            "gapminder.csv",
            "Name the three most populous countries of 2007.",
            *(words(name) for name in largest),
        ),
        one(
            "continents",
            FAMILY,
            "gapminder.csv",
            "Median lifeExp in 1957 by continent: tell me those of Africa, Asia and Europe with 2 decimals.",
            *(number(continents[name], 2, name) for name in ("Africa", "Asia", "Europe")),
        ),
        one(
            "survival",
            FAMILY,
            "titanic.csv",
            "Survival rates in the 1st, 2nd and 3rd class, in percent with one decimal?",
            *(number(100 * survived[name], 1, name) for name in ("1st", "2nd", "3rd")),
        ),
        one(
            "first-and-last",
            FAMILY,
            "macro.csv",
            "What were cpi and unemp in the last quarter of the data?",
            number(macro["cpi"].iloc[-1], 3, "cpi"),
            number(macro["unemp"].iloc[-1], 1, "unemp"),
        ),
        one(
            "min-and-max",
            FAMILY,
            "barley.jsonl",
            "Lowest and highest yield, and the sites where they were measured. One decimal.",
            number(barley["yield"].min(), 1, "lowest"),
            number(barley["yield"].max(), 1, "highest"),
            words(barley.loc[barley["yield"].idxmin(), "site"]),
            words(barley.loc[barley["yield"].idxmax(), "site"]),
        ),
        one(
            "quartiles",
            FAMILY,
            "engel_eu.csv",
            "All three quartiles of income (linear interpolation), two decimals.",
            *(number(value, 2, f"{share:.0%}") for share, value in quartiles.items()),
        ),
        one(
            "high-and-low",
            FAMILY,
            "prices.csv",
            "For GOOG: the highest High and the lowest Low in the file, two decimals.",
            number(goog["High"].max(), 2, "high"),
            number(goog["Low"].min(), 2, "low"),
        ),
        one(
            "three-means",
            FAMILY,
            "exercise.csv",
            "mean of each column, 2 decimals",
            *(number(exercise[name].mean(), 2, name) for name in exercise.columns),
        ),
        one(
            "sources",
            FAMILY,
            "iowa_electricity.csv",
            "Average net_generation by source, rounded to whole numbers.",
            *(number(value, 0, str(name)) for name, value in iowa.groupby("source")["net_generation"].mean().items()),
        ),
        one(
            "states-of-matter",
            FAMILY,
            "elements.csv",
            "How many elements are solid, liquid and gas by their standard state?",
            *(count(states[name], name) for name in ("solid", "liquid", "gas")),
        ),
        one(
            "extremes",
            FAMILY,
            "state_crime.csv",
            "In which states is hs_grad highest and lowest, and what are the values?",
            words(extremes.idxmax()),
            number(extremes.max(), 1),
            words(extremes.idxmin()),
            number(extremes.min(), 1),
        ),
        one(
            "voters",
            FAMILY,
            "election_survey.tsv",
            "Mean age and mean educ of those with vote = 1, two decimals each.",
            number(votes_by["age"].mean()[1], 2, "age"),
            number(votes_by["educ"].mean()[1], 2, "educ"),
        ),
        one(
            "world",
            FAMILY,
            "emissions.parquet",
            "For the year 2000: how many countries have a value, and what are mean and median emissions (3 decimals)?",
            count(world["country"].nunique(), "countries"),
            number(world["emissions"].mean(), 3, "mean"),
            number(world["emissions"].median(), 3, "median"),
        ),
    ]
