"""Questions about single figures of whole columns: counts, sums, means, quantiles, spreads."""

from __future__ import annotations

from pathlib import Path

from bench.exam.questions import Question
from bench.exam.tables import read
from bench.exam.writing import count, number, one, words

FAMILY = "aggregates"


def questions(folder: Path) -> list[Question]:
    """Return the questions of this family."""
    penguins = read(folder / "penguins.csv")
    superstore = read(folder / "superstore.csv")
    gap = read(folder / "gapminder.csv")
    nile = read(folder / "nile.csv")
    longley = read(folder / "longley.csv")
    macro = read(folder / "macro.csv")
    engel = read(folder / "engel_eu.csv")
    barley = read(folder / "barley.jsonl")
    emissions = read(folder / "emissions.parquet")
    glass = read(folder / "glass.csv")
    airports = read(folder / "us_airports.csv")
    employment = read(folder / "us_employment.csv")
    votes = read(folder / "election_survey.tsv")
    sunspots = read(folder / "sunspots.csv")
    return [
        one("rows", FAMILY, "superstore.csv", "How many rows are in superstore.csv?", count(len(superstore))),
        one(
            "mean-mass",
            FAMILY,
            "penguins.csv",
            "What is the average body mass of the penguins in grams? Round to 1 decimal place.",
            number(penguins["body_mass_g"].mean(), 1),
        ),
        one(
            "median-profit",
            FAMILY,
            "superstore.csv",
            "Give me the median profit per order line, rounded to two decimals.",
            number(superstore["Profit"].median(), 2),
        ),
        one("sum-sales", FAMILY, "superstore.csv", "total sales, to the cent", number(superstore["Sales"].sum(), 2)),
        one(
            "population-std",
            FAMILY,
            "nile.csv",
            "Compute the population standard deviation (ddof = 0) of the Nile's volume. Two decimals, please.",
            number(nile["volume"].std(ddof=0), 2),
        ),
        one(
            "sample-variance",
            FAMILY,
            "longley.csv",
            "What is the sample variance (n - 1 in the denominator) of GNPDEFL in longley.csv, to 3 decimals?",
            number(longley["GNPDEFL"].var(), 3),
        ),
        one(
            "quantile",
            FAMILY,
            "macro.csv",
            "What is the 90th percentile of unemp, with linear interpolation, rounded to 2 decimals?",
            number(macro["unemp"].quantile(0.9), 2),
        ),
        one(
            "iqr",
            FAMILY,
            "gapminder.csv",
            "Find the interquartile range of lifeExp over all rows. Give three decimals.",
            number(gap["lifeExp"].quantile(0.75) - gap["lifeExp"].quantile(0.25), 3),
        ),
        one(
            "european-mean",
            FAMILY,
            "engel_eu.csv",
            "What's the mean household income in engel_eu.csv? Round to two decimals.",
            number(engel["income"].mean(), 2),
        ),
        one(
            "jsonl-max",
            FAMILY,
            "barley.jsonl",
            "What is the highest yield recorded in the barley data? One decimal is enough.",
            number(barley["yield"].max(), 1),
        ),
        one(
            "distinct-countries",
            FAMILY,
            "emissions.parquet",
            "How many different countries does the emissions file cover?",
            count(emissions["country"].nunique()),
        ),
        one(
            "coefficient-of-variation",
            FAMILY,
            "glass.csv",
            "Tell me the coefficient of variation of Ca (sample standard deviation divided by the mean), to 4 decimals.",
            number(glass["Ca"].std() / glass["Ca"].mean(), 4),
        ),
        one(
            "range",
            FAMILY,
            "us_airports.csv",
            "What is the difference between the northernmost and the southernmost latitude of the airports? Two decimals.",
            number(airports["latitude"].max() - airports["latitude"].min(), 2),
        ),
        one(
            "month-of-max",
            FAMILY,
            "us_employment.csv",
            "In which month was manufacturing employment highest? Answer as YYYY-MM.",
            words(str(employment.loc[employment["manufacturing"].idxmax(), "month"])[:7]),
        ),
        one(
            "mode",
            FAMILY,
            "election_survey.tsv",
            "Which age occurs most often among the respondents?",
            count(votes["age"].mode().iloc[0]),
        ),
        one(
            "mean-absolute-deviation",
            FAMILY,
            "sunspots.csv",
            "Work out the mean absolute deviation of SUNACTIVITY around its mean. Round to 2 decimals.",
            number((sunspots["SUNACTIVITY"] - sunspots["SUNACTIVITY"].mean()).abs().mean(), 2),
        ),
    ]
