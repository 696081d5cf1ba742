"""Questions that compare groups."""

from __future__ import annotations

from pathlib import Path

from bench.exam.questions import Question
from bench.exam.tables import read
from bench.exam.writing import count, number, one, words

FAMILY = "groups"


def questions(folder: Path) -> list[Question]:
    """Return the questions of this family."""
    penguins = read(folder / "penguins.csv")
    store = read(folder / "superstore.csv")
    gap = read(folder / "gapminder.csv")
    barley = read(folder / "barley.jsonl")
    cars = read(folder / "cars.csv")
    fuel = read(folder / "fuel_economy.csv")
    cows = read(folder / "cows.csv")
    titanic = read(folder / "titanic.csv")
    iowa = read(folder / "iowa_electricity.csv")
    weather = read(folder / "seattle_weather.csv")
    routes = read(folder / "routes.csv")
    grunfeld = read(folder / "grunfeld.csv")
    glass = read(folder / "glass.csv")
    riots = read(folder / "la_riots.csv")
    mass = penguins.groupby("species")["body_mass_g"].mean()
    by_state = store.groupby("State")["Profit"].sum()
    sub = store.groupby("Sub-Category")["Sales"].sum()
    life = gap[gap["year"] == 2007].groupby("continent")["lifeExp"].mean()
    sites = barley.groupby("site")["yield"].mean()
    origin = cars.groupby("Origin")["Miles_per_Gallon"].mean()
    maker = fuel.groupby("manufacturer")["cty"].mean()
    breed = cows.groupby("breed")["butterfat"]
    survival = titanic.groupby(["class", "sex"])["survived"].mean()
    sources = iowa.groupby("source")["net_generation"].sum()
    segments = store.groupby("Segment")[["Profit", "Sales"]].sum()
    from_airport = routes["Source"].value_counts()
    invest = grunfeld.groupby("firm")["invest"].mean()
    shares = riots["race"].value_counts(normalize=True)
    magnesium = glass.groupby("type")["Mg"].median()
    return [
        one(
            "heaviest-species",
            FAMILY,
            "penguins.csv",
            "Which species is heaviest on average?",
            words(mass.idxmax()),
        ),
        one(
            "difference-of-means",
            FAMILY,
            "penguins.csv",
            "By how many grams does the mean body mass of Gentoo exceed that of Adelie? One decimal.",
            number(mass["Gentoo"] - mass["Adelie"], 1),
        ),
        one(
            "worst-state",
            FAMILY,
            "superstore.csv",
            "Which state has the lowest total profit, and how large is it (two decimals)?",
            words(by_state.idxmin()),
            number(by_state.min(), 2),
        ),
        one(
            "top-sub-category",
            FAMILY,
            "superstore.csv",
            "Name the Sub-Category with the highest total sales.",
            words(sub.idxmax()),
        ),
        one(
            "margin",
            FAMILY,
            "superstore.csv",
            "For each Segment divide total profit by total sales. What is the margin of Corporate in percent, 2 decimals?",
            number(100 * segments.loc["Corporate", "Profit"] / segments.loc["Corporate", "Sales"], 2),
        ),
        one(
            "continent-life",
            FAMILY,
            "gapminder.csv",
            "Unweighted mean of lifeExp by continent in 2007: what is it for Asia? Three decimals.",
            number(life["Asia"], 3),
        ),
        one(
            "countries-per-continent",
            FAMILY,
            "gapminder.csv",
            "How many countries belong to the Americas in this data?",
            count(gap.loc[gap["continent"] == "Americas", "country"].nunique()),
        ),
        one(
            "best-site",
            FAMILY,
            "barley.jsonl",
            "At which site was the average yield highest over both years?",
            words(sites.idxmax()),
        ),
        one(
            "origin-mileage",
            FAMILY,
            "cars.csv",
            "mean Miles_per_Gallon per Origin - give me the one for Europe, 2 decimals",
            number(origin["Europe"], 2),
        ),
        one(
            "makers-above",
            FAMILY,
            "fuel_economy.csv",
            "How many manufacturers reach an average city mileage (cty) of more than 18?",
            count((maker > 18).sum()),
        ),
        one(
            "breed-spread",
            FAMILY,
            "cows.csv",
            "Which breed's butterfat varies most, measured by the sample standard deviation?",
            words(breed.std().idxmax()),
        ),
        one(
            "two-keys",
            FAMILY,
            "titanic.csv",
            "Group the passengers by class and sex. What fraction of the 1st class men survived? Give 3 decimals.",
            number(survival["1st", "male"], 3),
        ),
        one(
            "energy-share",
            FAMILY,
            "iowa_electricity.csv",
            "Over all years, what share of net_generation came from Renewables? Percent, one decimal.",
            number(100 * sources["Renewables"] / sources.sum(), 1),
        ),
        one(
            "most-common-weather",
            FAMILY,
            "seattle_weather.csv",
            "Which kind of weather was second most frequent, and on how many days?",
            words(weather["weather"].value_counts().index[1]),
            count(weather["weather"].value_counts().iloc[1]),
        ),
        one(
            "busiest-source",
            FAMILY,
            "routes.csv airports.csv",
            "In routes.csv, from which Source airport code do most routes start?",
            words(from_airport.index[0]),
        ),
        one(
            "largest-investor",
            FAMILY,
            "grunfeld.csv",
            "What was the mean yearly invest of the firm that invested most on average? Round to 2 decimals.",
            number(invest.max(), 2),
        ),
        one(
            "share-of-group",
            FAMILY,
            "la_riots.csv",
            "What percentage of the victims were Latino? One decimal.",
            number(100 * shares["Latino"], 1),
        ),
        one(
            "group-median",
            FAMILY,
            "glass.csv",
            "Median Mg by glass type: which value has the type 'Tabl'? 3 decimals.",
            number(magnesium["Tabl"], 3),
        ),
    ]
