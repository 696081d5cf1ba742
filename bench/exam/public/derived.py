"""Questions about columns that must be computed first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from bench.exam.questions import Question
from bench.exam.tables import read
from bench.exam.writing import count, number, one, words

FAMILY = "derived-columns"


def questions(folder: Path) -> list[Question]:
    """Return the questions of this family."""
    weather = read(folder / "seattle_weather.csv")
    store = read(folder / "superstore.csv")
    gap = read(folder / "gapminder.csv")
    penguins = read(folder / "penguins.csv")
    cars = read(folder / "cars.csv")
    physiology = read(folder / "physiology.csv")
    prices = read(folder / "prices.csv")
    marriages = read(folder / "marriages.csv")
    engel = read(folder / "engel_eu.csv")
    macro = read(folder / "macro.csv")
    elements = read(folder / "elements.csv")
    titanic = read(folder / "titanic.csv")
    unemployment = read(folder / "unemployment.csv")
    crimea = read(folder / "crimea.parquet")
    driving = read(folder / "driving.csv")
    survey = read(folder / "marriage_survey.csv")
    spread = weather["temp_max"] - weather["temp_min"]
    margin = store["Profit"] / store["Sales"]
    gap["gdp"] = gap["pop"] * gap["gdpPercap"]
    ratio = penguins["bill_length_mm"] / penguins["bill_depth_mm"]
    litres = 235.215 / cars["Miles_per_Gallon"]
    body = physiology["Weight"] / physiology["Waist"]
    google = prices[prices["Ticker"] == "GOOG"]
    log_returns = np.log(google["Close"]).diff()
    share = engel["foodexp"] / engel["income"]
    child = pd.cut(titanic["age"], [0, 18, 60, 200], right=False, labels=["child", "adult", "old"])
    liquid = (elements["melting point"] < 298) & (elements["boiling point"] > 298)
    year = unemployment.set_index("Year").loc[:, "Jan":"Dec"]
    lost = crimea[["wounds", "other", "disease"]].sum(axis=1)
    decade = gap[gap["country"] == "Japan"].set_index("year")["gdp"]
    per_person = marriages["Marriages"] / marriages["Divorces"]
    saving = 1 - macro["realcons"] / macro["realdpi"]
    discounted = store["Sales"] * store["Discount"]
    return [
        one(
            "daily-spread",
            FAMILY,
            "seattle_weather.csv",
            "What is the mean difference between temp_max and temp_min, to 3 decimals?",
            number(spread.mean(), 3),
        ),
        one(
            "day-of-spread",
            FAMILY,
            "seattle_weather.csv",
            "On which day was the gap between temp_max and temp_min widest? Answer with the date as in the file.",
            words(weather.loc[spread.idxmax(), "date"], pd.Timestamp(weather.loc[spread.idxmax(), "date"]).date()),
        ),
        one(
            "margin",
            FAMILY,
            "superstore.csv",
            "Define margin = Profit / Sales per row. What is the median margin in percent, 2 decimals?",
            number(100 * margin.median(), 2),
        ),
        one(
            "negative-margin",
            FAMILY,
            "superstore.csv",
            "How many rows have a profit margin (Profit divided by Sales) below -50 percent?",
            count((margin < -0.5).sum()),
        ),
        one(
            "discount-value",
            FAMILY,
            "superstore.csv",
            "Multiply Sales by Discount in each row and add it all up. Two decimals.",
            number(discounted.sum(), 2),
        ),
        one(
            "total-gdp",
            FAMILY,
            "gapminder.csv",
            "Total GDP is pop times gdpPercap. Which country had the third largest total GDP in 2007?",
            words(gap[gap["year"] == 2007].sort_values("gdp", ascending=False)["country"].iloc[2]),
        ),
        one(
            "growth-factor",
            FAMILY,
            "gapminder.csv",
            "By what factor did Japan's total GDP (pop x gdpPercap) grow from 1952 to 2007? 2 decimals.",
            number(decade[2007] / decade[1952], 2),
        ),
        one(
            "bill-ratio",
            FAMILY,
            "penguins.csv",
            "For which species is the mean ratio of bill length to bill depth smallest, and what is it (3 decimals)?",
            words(ratio.groupby(penguins["species"]).mean().idxmin()),
            number(ratio.groupby(penguins["species"]).mean().min(), 3),
        ),
        one(
            "litres",
            FAMILY,
            "cars.csv",
            "Convert Miles_per_Gallon to litres per 100 km (235.215 divided by mpg). Mean consumption of all cars with a value, 2 decimals?",
            number(litres.mean(), 2),
        ),
        one(
            "weight-per-waist",
            FAMILY,
            "physiology.csv",
            "compute Weight/Waist for every man; standard deviation (n-1) with 4 decimals",
            number(body.std(), 4),
        ),
        one(
            "log-returns",
            FAMILY,
            "prices.csv",
            "Daily log returns of GOOG's Close in file order: what is their sample standard deviation, 5 decimals?",
            number(log_returns.std(), 5),
        ),
        one(
            "food-share",
            FAMILY,
            "engel_eu.csv",
            "What share of income goes to food on average (mean of foodexp/income over households)? Percent, one decimal.",
            number(100 * share.mean(), 1),
        ),
        one(
            "bins",
            FAMILY,
            "titanic.csv",
            "Call passengers under 18 children. Among those of known age, what fraction of the children survived? 3 decimals.",
            number(titanic.loc[child == "child", "survived"].mean(), 3),
        ),
        one(
            "liquids",
            FAMILY,
            "elements.csv",
            "Which elements would be liquid at 298 K (melting point below, boiling point above; columns in kelvin)? How many are they?",
            count(liquid.sum()),
        ),
        one(
            "row-mean",
            FAMILY,
            "unemployment.csv",
            "Average the twelve months of each Year. Which year had the highest average?",
            count(year.mean(axis=1).idxmax()),
        ),
        one(
            "row-sum",
            FAMILY,
            "crimea.parquet",
            "Add wounds, other and disease for each month. What is the largest monthly total?",
            count(lost.max()),
        ),
        one(
            "cumulative",
            FAMILY,
            "crimea.parquet",
            "What percentage of all deaths (wounds, other and disease together) was due to disease? 1 decimal.",
            number(100 * crimea["disease"].sum() / lost.sum(), 1),
        ),
        one(
            "ratio-year",
            FAMILY,
            "marriages.csv",
            "In which Year was the ratio of Marriages to Divorces lowest?",
            count(marriages.loc[per_person.idxmin(), "Year"]),
        ),
        one(
            "saving-rate",
            FAMILY,
            "macro.csv",
            "Let the saving rate be 1 - realcons/realdpi. Its maximum over all quarters, in percent with 2 decimals?",
            number(100 * saving.max(), 2),
        ),
        one(
            "change-per-year",
            FAMILY,
            "driving.csv",
            "The largest year-on-year rise of gas (absolute difference to the previous row), 2 decimals?",
            number(driving["gas"].diff().max(), 2),
        ),
        one(
            "normalised",
            FAMILY,
            "marriage_survey.csv",
            "Scale educ to the range 0 to 1 (min-max). What is the mean of the scaled values? 4 decimals.",
            number(((survey["educ"] - survey["educ"].min()) / (survey["educ"].max() - survey["educ"].min())).mean(), 4),
        ),
    ]
