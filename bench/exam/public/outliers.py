"""Questions about values far from the others, by definitions that the questions give."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from bench.exam.questions import Question
from bench.exam.tables import read
from bench.exam.writing import count, number, one, words
from scipy import stats

FAMILY = "outliers"


def questions(folder: Path) -> list[Question]:
    """Return the questions of this family."""
    store = read(folder / "superstore.csv")
    cars = read(folder / "cars.csv")
    crime = read(folder / "state_crime.csv")
    glass = read(folder / "glass.csv")
    weather = read(folder / "seattle_weather.csv")
    gap = read(folder / "gapminder.csv")
    penguins = read(folder / "penguins.csv")
    engel = read(folder / "engel_eu.csv")
    nile = read(folder / "nile.csv")
    fuel = read(folder / "fuel_economy.csv")
    macro = read(folder / "macro.csv")
    prices = read(folder / "prices.csv")
    exercise = read(folder / "exercise.csv")
    sunspots = read(folder / "sunspots.csv")
    in_2007 = gap[gap["year"] == 2007]
    gdp = in_2007["gdpPercap"]
    murder = stats.zscore(crime["murder"])
    barium = _fences(glass["Ba"])
    ibm = prices[prices["Ticker"] == "IBM"]["Close"].pct_change()
    deviation = (exercise["Jumps"] - exercise["Jumps"].median()).abs()
    trimmed = stats.trim_mean(sunspots["SUNACTIVITY"], 0.1)
    return [
        one(
            "iqr-count",
            FAMILY,
            "superstore.csv",
            "How many Sales values are outliers by the 1.5 x IQR rule (below Q1 - 1.5 IQR or above Q3 + 1.5 IQR)?",
            count(_outside(store["Sales"]).sum()),
        ),
        one(
            "iqr-count-strict",
            FAMILY,
            "superstore.csv",
            "Count the extreme outliers of Profit: beyond 3 times the interquartile range from the quartiles.",
            count(_outside(store["Profit"], 3).sum()),
        ),
        one(
            "upper-fence",
            FAMILY,
            "cars.csv",
            "What is the upper outlier fence Q3 + 1.5*IQR of Horsepower? Ignore missing values; 2 decimals.",
            number(_fences(cars["Horsepower"])[1], 2),
        ),
        one(
            "z-score",
            FAMILY,
            "cars.csv",
            "How many cars have an Acceleration more than 2 sample standard deviations away from the mean?",
            count(((cars["Acceleration"] - cars["Acceleration"].mean()).abs() > 2 * cars["Acceleration"].std()).sum()),
        ),
        one(
            "largest-z",
            FAMILY,
            "state_crime.csv",
            "Which state has the largest z-score (population standard deviation) for murder, and what is that z-score? Two decimals.",
            words(crime["state"].iloc[int(murder.argmax())]),
            number(murder.max(), 2),
        ),
        one(
            "fences",
            FAMILY,
            "glass.csv",
            "By the 1.5 IQR rule, how many of the Ba values lie above the upper fence?",
            count((glass["Ba"] > barium[1]).sum()),
        ),
        one(
            "mean-without",
            FAMILY,
            "seattle_weather.csv",
            "Drop wind values outside of the 1.5 IQR fences. What is the mean wind of the days that remain, 3 decimals?",
            number(weather.loc[~_outside(weather["wind"]), "wind"].mean(), 3),
        ),
        one(
            "countries",
            FAMILY,
            "gapminder.csv",
            "Considering 2007 alone, how many countries are outliers in gdpPercap under the usual 1.5 IQR criterion?",
            count(_outside(gdp).sum()),
        ),
        one(
            "within-species",
            FAMILY,
            "penguins.csv",
            "Apply the 1.5 IQR rule to body_mass_g separately for each species. How many outliers are there altogether?",
            count(penguins.groupby("species")["body_mass_g"].transform(_outside).astype(bool).sum()),
        ),
        one(
            "european",
            FAMILY,
            "engel_eu.csv",
            "how many incomes deviate more than 3 sample standard deviations from the mean income?",
            count(((engel["income"] - engel["income"].mean()).abs() > 3 * engel["income"].std()).sum()),
        ),
        one(
            "driest-year",
            FAMILY,
            "nile.csv",
            "Which years lie more than 2.5 sample standard deviations from the mean volume? Name them.",
            *(
                count(year)
                for year in nile.loc[
                    (nile["volume"] - nile["volume"].mean()).abs() > 2.5 * nile["volume"].std(), "year"
                ]
            ),
        ),
        one(
            "no-outlier-max",
            FAMILY,
            "fuel_economy.csv",
            "What is the largest hwy value that is not an outlier by the boxplot rule (whiskers at 1.5 IQR)?",
            number(fuel.loc[~_outside(fuel["hwy"]), "hwy"].max(), 0),
        ),
        one(
            "winsorized",
            FAMILY,
            "macro.csv",
            "Clip infl to its 5th and 95th percentile (linear interpolation) and give the mean of the clipped values to 3 decimals.",
            number(macro["infl"].clip(macro["infl"].quantile(0.05), macro["infl"].quantile(0.95)).mean(), 3),
        ),
        one(
            "trimmed",
            FAMILY,
            "sunspots.csv",
            "What is the 10 % trimmed mean of SUNACTIVITY (cut 10 % at each end)? 3 decimals, please.",
            number(trimmed, 3),
        ),
        one(
            "returns",
            FAMILY,
            "prices.csv",
            "For ticker IBM, take daily simple returns of Close (rows are in date order). On how many days is the absolute return above 5 %?",
            count((ibm.abs() > 0.05).sum()),
        ),
        one(
            "mad",
            FAMILY,
            "exercise.csv",
            "What is the median absolute deviation (unscaled, around the median) of Jumps?",
            number(deviation.median(), 1),
        ),
    ]


def _fences(values: pd.Series[float], factor: float = 1.5) -> tuple[float, float]:
    low, high = float(values.quantile(0.25)), float(values.quantile(0.75))
    return low - factor * (high - low), high + factor * (high - low)


def _outside(values: pd.Series[float], factor: float = 1.5) -> pd.Series[bool]:
    low, high = _fences(values, factor)
    return (values < low) | (values > high)
