"""Questions about the correlation of columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from bench.exam.questions import Question
from bench.exam.tables import read
from bench.exam.writing import number, one, words
from scipy import stats

FAMILY = "correlation"


def questions(folder: Path) -> list[Question]:
    """Return the questions of this family."""
    cars = read(folder / "cars.csv")
    penguins = read(folder / "penguins.csv")
    crime = read(folder / "state_crime.csv")
    macro = read(folder / "macro.csv")
    engel = read(folder / "engel_eu.csv")
    glass = read(folder / "glass.csv")
    longley = read(folder / "longley.csv")
    gap = read(folder / "gapminder.csv")
    exercise = read(folder / "exercise.csv")
    weather = read(folder / "seattle_weather.csv")
    fuel = read(folder / "fuel_economy.csv")
    survey = read(folder / "marriage_survey.csv")
    driving = read(folder / "driving.csv")
    marriages = read(folder / "marriages.csv")
    gentoo = penguins[penguins["species"] == "Gentoo"]
    minerals = glass.drop(columns="type").corr()["RI"].drop("RI")
    of_murder = crime.drop(columns="state").corr()["murder"].drop("murder")
    jumps = stats.pearsonr(exercise["Situps"], exercise["Jumps"])
    nile = read(folder / "nile.csv")
    return [
        one(
            "pearson",
            FAMILY,
            "cars.csv",
            "What is the Pearson correlation between Horsepower and Miles_per_Gallon? Leave out rows where either is missing; 3 decimals.",
            number(cars["Horsepower"].corr(cars["Miles_per_Gallon"]), 3),
        ),
        one(
            "spearman",
            FAMILY,
            "state_crime.csv",
            "Spearman rank correlation of poverty and hs_grad, rounded to three decimals",
            number(crime["poverty"].corr(crime["hs_grad"], method="spearman"), 3),
        ),
        one(
            "kendall",
            FAMILY,
            "longley.csv",
            "Compute Kendall's tau (tau-b) between UNEMP and ARMED, 3 decimals.",
            number(stats.kendalltau(longley["UNEMP"], longley["ARMED"]).statistic, 3),
        ),
        one(
            "within-group",
            FAMILY,
            "penguins.csv",
            "Only for Gentoo penguins: how strongly do bill_length_mm and bill_depth_mm correlate (Pearson, 2 decimals)?",
            number(gentoo["bill_length_mm"].corr(gentoo["bill_depth_mm"]), 2),
        ),
        one(
            "european",
            FAMILY,
            "engel_eu.csv",
            "How are income and foodexp correlated? Pearson, 4 decimals.",
            number(engel["income"].corr(engel["foodexp"]), 4),
        ),
        one(
            "strongest",
            FAMILY,
            "glass.csv",
            "Which of the other numeric columns has the strongest Pearson correlation with RI in absolute value?",
            words(minerals.abs().idxmax()),
        ),
        one(
            "most-negative",
            FAMILY,
            "state_crime.csv",
            "With which column is murder most negatively correlated (Pearson), and what is the coefficient to 2 decimals?",
            words(of_murder.idxmin()),
            number(of_murder.min(), 2),
        ),
        one(
            "p-value",
            FAMILY,
            "exercise.csv",
            "Pearson correlation of Situps and Jumps with its two-sided p-value; both to 4 decimals.",
            number(jumps.statistic, 4, "r"),
            number(jumps.pvalue, 4, "p"),
        ),
        one(
            "changes",
            FAMILY,
            "macro.csv",
            "Correlate the quarter-to-quarter differences (not the levels) of realcons and realinv. Pearson, 3 decimals.",
            number(macro["realcons"].diff().corr(macro["realinv"].diff()), 3),
        ),
        one(
            "autocorrelation",
            FAMILY,
            "nile.csv",
            "What is the lag-1 autocorrelation of volume, meaning the Pearson correlation of the series with itself shifted by one year? 3 decimals.",
            number(nile["volume"].autocorr(1), 3),
        ),
        one(
            "one-year",
            FAMILY,
            "gapminder.csv",
            "For the year 1997 only, correlation (Pearson) between the natural log of gdpPercap and lifeExp, 3 decimals?",
            number(_log_correlation(gap), 3),
        ),
        one(
            "temperatures",
            FAMILY,
            "seattle_weather.csv",
            "correlation of temp_max and wind, two decimals",
            number(weather["temp_max"].corr(weather["wind"]), 2),
        ),
        one(
            "r-squared",
            FAMILY,
            "fuel_economy.csv",
            "Square of the Pearson correlation between displ and hwy, to 3 decimals?",
            number(fuel["displ"].corr(fuel["hwy"]) ** 2, 3),
        ),
        one(
            "survey",
            FAMILY,
            "marriage_survey.csv",
            "Do people who have been married longer rate their marriage lower? Give Pearson's r of yrs_married and rate_marriage to 3 decimals.",
            number(survey["yrs_married"].corr(survey["rate_marriage"]), 3),
        ),
        one(
            "covariance",
            FAMILY,
            "driving.csv",
            "What is the sample covariance of miles and gas? Two decimals.",
            number(driving["miles"].cov(driving["gas"]), 2),
        ),
        one(
            "pairwise",
            FAMILY,
            "marriages.csv",
            "Marriages_per_1000 against Divorces_per_1000, using years where both are known: Pearson correlation to 2 decimals.",
            number(marriages["Marriages_per_1000"].corr(marriages["Divorces_per_1000"]), 2),
        ),
    ]


def _log_correlation(gap: pd.DataFrame) -> float:
    year = gap[gap["year"] == 1997]
    return float(np.log(year["gdpPercap"]).corr(year["lifeExp"]))
