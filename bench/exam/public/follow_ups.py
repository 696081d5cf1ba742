"""Chains of questions that build on each other."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from bench.exam.questions import Number, Question
from bench.exam.tables import read
from bench.exam.writing import chain, count, number, words

FAMILY = "follow-ups"


def questions(folder: Path) -> list[Question]:
    """Return the questions of this family."""
    penguins = read(folder / "penguins.csv")
    store = read(folder / "superstore.csv")
    weather = read(folder / "seattle_weather.csv")
    cars = read(folder / "cars.csv")
    gap = read(folder / "gapminder.csv")
    titanic = read(folder / "titanic.csv")
    prices = read(folder / "prices.csv")
    crime = read(folder / "state_crime.csv")
    engel = read(folder / "engel_eu.csv")
    fuel = read(folder / "fuel_economy.csv")
    nile = read(folder / "nile.csv")
    routes = read(folder / "routes.csv")
    airports = read(folder / "airports.csv")
    glass = read(folder / "glass.csv")
    species = penguins.groupby("species")["body_mass_g"].mean()
    heaviest = penguins[penguins["species"] == species.idxmax()]
    west = store[store["Region"] == "West"]
    month = pd.to_datetime(weather["date"]).dt.month
    july, january = weather[month == 7], weather[month == 1]
    usa = cars[cars["Origin"] == "USA"]
    in_2007 = gap[gap["year"] == 2007]
    women = titanic[titanic["sex"] == "female"]
    apple = prices[prices["Ticker"] == "AAPL"].set_index("Date")["Close"]
    drawdown = 100 * (apple / apple.cummax() - 1)
    outside = (crime["murder"] - crime["murder"].mean()).abs() > 2 * crime["murder"].std()
    share = engel["foodexp"] / engel["income"]
    suv = fuel[fuel["class"] == "suv"]
    early, late = nile[nile["year"] < 1900], nile[nile["year"] >= 1900]
    sources = routes["Source"].value_counts()
    first = airports[airports["IATA"] == sources.index[0]].iloc[0]
    windows = glass[glass["type"] == "WinF"]
    return [
        chain(
            "species",
            FAMILY,
            "penguins.csv",
            ("Which species has the highest mean body mass?", words(species.idxmax())),
            ("How many penguins of that species are in the table?", count(len(heaviest))),
            (
                "And what is their median flipper length? One decimal.",
                number(heaviest["flipper_length_mm"].median(), 1),
            ),
        ),
        chain(
            "west",
            FAMILY,
            "superstore.csv",
            ("What are the total sales of the West region? 2 decimals", number(west["Sales"].sum(), 2)),
            ("And its profit?", number(west["Profit"].sum(), 2)),
            (
                "Which percentage of those sales is that profit? 2 decimals",
                number(100 * west["Profit"].sum() / west["Sales"].sum(), 2),
            ),
        ),
        chain(
            "months",
            FAMILY,
            "seattle_weather.csv",
            ("Mean temp_max in July over all years, 2 decimals?", number(july["temp_max"].mean(), 2)),
            ("Same for January?", number(january["temp_max"].mean(), 2)),
            ("What is the difference of the two?", number(july["temp_max"].mean() - january["temp_max"].mean(), 2)),
        ),
        chain(
            "american-cars",
            FAMILY,
            "cars.csv",
            ("How many cars are from the USA?", count(len(usa))),
            (
                "What is their mean Weight_in_lbs, rounded to 1 decimal?",
                number(usa["Weight_in_lbs"].mean(), 1),
            ),
            (
                "How many of them are heavier than that mean?",
                count((usa["Weight_in_lbs"] > usa["Weight_in_lbs"].mean()).sum()),
            ),
        ),
        chain(
            "life",
            FAMILY,
            "gapminder.csv",
            ("Which country had the lowest lifeExp in 2007?", words(in_2007.sort_values("lifeExp")["country"].iloc[0])),
            ("And the highest?", words(in_2007.sort_values("lifeExp")["country"].iloc[-1])),
            (
                "How many years lie between these two values? 2 decimals.",
                number(in_2007["lifeExp"].max() - in_2007["lifeExp"].min(), 2),
            ),
        ),
        chain(
            "women",
            FAMILY,
            "titanic.csv",
            ("What share of the women survived? Percent, 1 decimal.", number(100 * women["survived"].mean(), 1)),
            (
                "And of the men?",
                number(100 * titanic.loc[titanic["sex"] == "male", "survived"].mean(), 1),
            ),
        ),
        chain(
            "drawdown",
            FAMILY,
            "prices.csv",
            ("What was the highest Close of AAPL, 2 decimals?", number(apple.max(), 2)),
            ("On which date was that? YYYY-MM-DD", words(apple.idxmax())),
            (
                "What is the maximum drawdown of that Close series in percent (a negative number, 2 decimals)?",
                number(drawdown.min(), 2),
            ),
        ),
        chain(
            "without-outliers",
            FAMILY,
            "state_crime.csv",
            ("What is the mean of murder? 3 decimals.", number(crime["murder"].mean(), 3)),
            (
                "Leave out the states further than 2 sample standard deviations from that mean. What is the mean now?",
                number(crime.loc[~outside, "murder"].mean(), 3),
            ),
            ("How many states did you leave out?", count(outside.sum())),
        ),
        chain(
            "food",
            FAMILY,
            "engel_eu.csv",
            (
                "Add a column share = foodexp / income. What is its median? 4 decimals",
                number(share.median(), 4),
            ),
            ("For how many households is it above 0.7?", count((share > 0.7).sum())),
            ("What is the mean income of those? 2 decimals.", number(engel.loc[share > 0.7, "income"].mean(), 2)),
        ),
        chain(
            "suvs",
            FAMILY,
            "fuel_economy.csv",
            ("How many SUVs are there?", count(len(suv))),
            ("How many of them have four-wheel drive (drv is 4)?", count((suv["drv"] == "4").sum())),
            ("And what is the mean hwy of those? 2 decimals.", number(suv.loc[suv["drv"] == "4", "hwy"].mean(), 2)),
        ),
        chain(
            "river",
            FAMILY,
            "nile.csv",
            ("Mean volume before 1900, 2 decimals", number(early["volume"].mean(), 2)),
            ("and from 1900 on?", number(late["volume"].mean(), 2)),
            (
                "By what percentage did it fall? 1 decimal",
                number(abs(100 * (late["volume"].mean() / early["volume"].mean() - 1)), 1),
            ),
        ),
        chain(
            "airport",
            FAMILY,
            "routes.csv airports.csv",
            ("Which Source has most rows in routes.csv?", words(sources.index[0])),
            ("In which city is that airport, by airports.csv (IATA)?", words(first["City"])),
            ("How high does it lie (Altitude)?", count(first["Altitude"])),
        ),
        chain(
            "windows",
            FAMILY,
            "glass.csv",
            ("How many samples have the type WinF?", count(len(windows))),
            ("What are mean and median of their Mg? 3 decimals", *_centre(windows["Mg"])),
            ("And the same for Al.", *_centre(windows["Al"])),
        ),
    ]


def _centre(values: pd.Series[float]) -> tuple[Number, Number]:
    return number(values.mean(), 3, "mean"), number(values.median(), 3, "median")
