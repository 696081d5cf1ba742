"""Questions about skewness, kurtosis, and tests of hypotheses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from bench.exam.questions import Question
from bench.exam.tables import read
from bench.exam.writing import number, one, words
from scipy import stats

FAMILY = "skewness-and-tests"


def questions(folder: Path) -> list[Question]:
    """Return the questions of this family."""
    store = read(folder / "superstore.csv")
    penguins = read(folder / "penguins.csv")
    weather = read(folder / "seattle_weather.csv")
    titanic = read(folder / "titanic.csv")
    cars = read(folder / "cars.csv")
    cows = read(folder / "cows.csv")
    nile = read(folder / "nile.csv")
    barley = read(folder / "barley.jsonl")
    engel = read(folder / "engel_eu.csv")
    fuel = read(folder / "fuel_economy.csv")
    gap = read(folder / "gapminder.csv")
    physiology = read(folder / "physiology.csv")
    sunspots = read(folder / "sunspots.csv")
    survey = read(folder / "marriage_survey.csv")
    known = penguins.dropna(subset=["sex", "body_mass_g"])
    male, female = (known.loc[known["sex"] == sex, "body_mass_g"] for sex in ("male", "female"))
    welch = stats.ttest_ind(male, female, equal_var=False)
    student = stats.ttest_ind(*(fuel.loc[fuel["year"] == year, "hwy"] for year in (1999, 2008)))
    breeds = stats.f_oneway(*(part for _, part in cows.groupby("breed")["butterfat"]))
    survived = stats.chi2_contingency(pd.crosstab(titanic["sex"], titanic["survived"]), correction=False)
    yields = barley.pivot(index=["site", "variety"], columns="year", values="yield")
    paired = stats.ttest_rel(yields[1931], yields[1932])
    normal = stats.shapiro(nile["volume"])
    usa, japan = (cars.loc[cars["Origin"] == origin, "Miles_per_Gallon"].dropna() for origin in ("USA", "Japan"))
    ranks = stats.mannwhitneyu(usa, japan, alternative="two-sided")
    before, after = nile.loc[nile["year"] < 1899, "volume"], nile.loc[nile["year"] >= 1899, "volume"]
    level = stats.ttest_1samp(physiology["Pulse"], 60)
    groups = [part for _, part in gap[gap["year"] == 2007].groupby("continent")["lifeExp"]]
    kruskal = stats.kruskal(*groups)
    spread = stats.levene(*(part for _, part in known.groupby("species")["body_mass_g"]), center="median")
    skewed = store[["Sales", "Quantity", "Discount", "Profit"]].skew()
    half = stats.sem(survey["age"]) * stats.t.ppf(0.975, len(survey) - 1)
    return [
        one(
            "skew-adjusted",
            FAMILY,
            "superstore.csv",
            "What is the bias-corrected sample skewness of Sales (as pandas computes it)? 3 decimals.",
            number(store["Sales"].skew(), 3),
        ),
        one(
            "skew-population",
            FAMILY,
            "seattle_weather.csv",
            "Compute the population skewness (third central moment over sigma cubed, no bias correction) of precipitation. 4 decimals.",
            number(stats.skew(weather["precipitation"]), 4),
        ),
        one(
            "most-skewed",
            FAMILY,
            "superstore.csv",
            "Which of Sales, Quantity, Discount and Profit has the largest skewness?",
            words(skewed.idxmax()),
        ),
        one(
            "excess-kurtosis",
            FAMILY,
            "engel_eu.csv",
            "Excess kurtosis of foodexp, bias-corrected like pandas' kurt, 3 decimals?",
            number(engel["foodexp"].kurt(), 3),
        ),
        one(
            "log-skew",
            FAMILY,
            "sunspots.csv",
            "Take log(1 + SUNACTIVITY), natural logarithm. How skewed is that (population skewness, i.e. scipy's default)? 3 decimals.",
            number(stats.skew(np.log1p(sunspots["SUNACTIVITY"])), 3),
        ),
        one(
            "welch",
            FAMILY,
            "penguins.csv",
            "Compare body_mass_g of male and female penguins with Welch's t-test. Give the t statistic (male minus female) to 3 decimals.",
            number(welch.statistic, 3),
        ),
        one(
            "student",
            FAMILY,
            "fuel_economy.csv",
            "Did hwy change between 1999 and 2008? Two-sided Student t-test with equal variances: p-value, 3 decimals.",
            number(student.pvalue, 3),
        ),
        one(
            "anova",
            FAMILY,
            "cows.csv",
            "Run a one-way ANOVA of butterfat over the breeds. F statistic to 2 decimals?",
            number(breeds.statistic, 2),
        ),
        one(
            "chi-square",
            FAMILY,
            "titanic.csv",
            "Chi-square statistic of sex against survived, without continuity correction, 2 decimals",
            number(survived.statistic, 2),
        ),
        one(
            "paired",
            FAMILY,
            "barley.jsonl",
            "Pair the yields of 1931 and 1932 by site and variety and do a paired t-test. What is t for 1931 minus 1932, to 2 decimals?",
            number(paired.statistic, 2),
        ),
        one(
            "shapiro",
            FAMILY,
            "nile.csv",
            "Is volume normally distributed? Report the Shapiro-Wilk W statistic with 4 decimals.",
            number(normal.statistic, 4),
        ),
        one(
            "mann-whitney",
            FAMILY,
            "cars.csv",
            "Mann-Whitney U for Miles_per_Gallon of cars from the USA (first sample) and Japan (second), without missing values: U of the first?",
            number(ranks.statistic, 1),
        ),
        one(
            "smirnov",
            FAMILY,
            "nile.csv",
            "Two-sample Kolmogorov-Smirnov test: volumes before 1899 against those from 1899 on. D statistic, 3 decimals.",
            number(stats.ks_2samp(before, after).statistic, 3),
        ),
        one(
            "one-sample",
            FAMILY,
            "physiology.csv",
            "Test whether the mean Pulse differs from 60 (one-sample t-test, two-sided). Which p-value do you get, 4 decimals?",
            number(level.pvalue, 4),
        ),
        one(
            "kruskal",
            FAMILY,
            "gapminder.csv",
            "Kruskal-Wallis test of lifeExp across the continents in 2007: H statistic with 2 decimals, please.",
            number(kruskal.statistic, 2),
        ),
        one(
            "levene",
            FAMILY,
            "penguins.csv",
            "Where sex and body mass are known: Levene's test (centred at the median) of body_mass_g among species: statistic to 3 decimals.",
            number(spread.statistic, 3),
        ),
        one(
            "confidence",
            FAMILY,
            "marriage_survey.csv",
            "95 % confidence interval (t distribution) for the mean age; both bounds with 2 decimals.",
            number(survey["age"].mean() - half, 2, "lower bound"),
            number(survey["age"].mean() + half, 2, "upper bound"),
        ),
    ]
