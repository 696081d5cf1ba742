"""Questions about least squares fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from bench.exam.questions import Question
from bench.exam.tables import read
from bench.exam.writing import number, one, words
from scipy import stats

FAMILY = "regression"


def questions(folder: Path) -> list[Question]:
    """Return the questions of this family."""
    cars = read(folder / "cars.csv")
    engel = read(folder / "engel_eu.csv")
    crime = read(folder / "state_crime.csv")
    longley = read(folder / "longley.csv")
    gap = read(folder / "gapminder.csv")
    penguins = read(folder / "penguins.csv")
    fuel = read(folder / "fuel_economy.csv")
    grunfeld = read(folder / "grunfeld.csv")
    nile = read(folder / "nile.csv")
    glass = read(folder / "glass.csv")
    macro = read(folder / "macro.csv")
    physiology = read(folder / "physiology.csv")
    survey = read(folder / "marriage_survey.csv")
    co2 = read(folder / "co2.csv")
    food = stats.linregress(engel["income"], engel["foodexp"])
    known = cars.dropna(subset=["Horsepower", "Miles_per_Gallon"])
    mileage = stats.linregress(known["Horsepower"], known["Miles_per_Gallon"])
    killed = _fit(crime, "murder", ["poverty", "single"])
    work = _fit(longley, "TOTEMP", ["GNP", "POP"])
    year = gap[gap["year"] == 2002]
    life = stats.linregress(np.log10(year["gdpPercap"]), year["lifeExp"])
    flipper = stats.linregress(
        *(penguins.dropna(subset=["body_mass_g"])[c] for c in ("flipper_length_mm", "body_mass_g"))
    )
    hwy = _fit(fuel, "hwy", ["displ", "cyl"])
    motors = _fit(grunfeld[grunfeld["firm"] == "General Motors"], "invest", ["value", "capital"])
    slopes = grunfeld.groupby("firm").apply(lambda part: stats.linregress(part["value"], part["invest"]).slope)
    trend = stats.linregress(nile["year"], nile["volume"])
    index = stats.linregress(glass["Ca"], glass["RI"])
    demand = _fit(macro, "realcons", ["realdpi"])
    curve = np.polyfit(cars.dropna(subset=["Miles_per_Gallon"])["Weight_in_lbs"] / 1000, _known_mileage(cars), 2)
    waist = stats.linregress(physiology["Weight"], physiology["Waist"])
    rating = _fit(survey, "rate_marriage", ["age", "yrs_married", "children"])
    weeks = co2.reset_index().dropna(subset=["co2"])
    rising = stats.linregress(weeks["index"], weeks["co2"])
    through_zero = float((engel["income"] * engel["foodexp"]).sum() / (engel["income"] ** 2).sum())
    return [
        one(
            "slope",
            FAMILY,
            "engel_eu.csv",
            "Regress foodexp on income (ordinary least squares with intercept). What is the slope, to 4 decimals?",
            number(food.slope, 4),
        ),
        one(
            "intercept",
            FAMILY,
            "engel_eu.csv",
            "Fit foodexp = a + b * income by least squares and report a with 2 decimals.",
            number(food.intercept, 2),
        ),
        one(
            "prediction",
            FAMILY,
            "engel_eu.csv",
            "According to a linear regression of foodexp on income, which food expenditure do you predict for an income of 1000? 2 decimals.",
            number(food.intercept + 1000 * food.slope, 2),
        ),
        one(
            "through-origin",
            FAMILY,
            "engel_eu.csv",
            "Fit a line through the origin (no intercept) of foodexp on income; slope, 4 decimals.",
            number(through_zero, 4),
        ),
        one(
            "r-squared",
            FAMILY,
            "cars.csv",
            "R squared of the linear regression of Miles_per_Gallon on Horsepower (rows without either left out), 3 decimals?",
            number(mileage.rvalue**2, 3),
        ),
        one(
            "standard-error",
            FAMILY,
            "cars.csv",
            "Miles_per_Gallon explained by Horsepower, OLS, complete rows only: standard error of the slope to 5 decimals.",
            number(mileage.stderr, 5),
        ),
        one(
            "two-predictors",
            FAMILY,
            "state_crime.csv",
            "OLS of murder on poverty and single, with a constant. Which coefficient does single get? 3 decimals.",
            number(killed.coefficients[2], 3),
        ),
        one(
            "adjusted",
            FAMILY,
            "state_crime.csv",
            "What is the adjusted R² of a linear model for murder with the predictors poverty and single plus intercept? 3 decimals",
            number(killed.adjusted, 3),
        ),
        one(
            "longley",
            FAMILY,
            "longley.csv",
            "Explain TOTEMP by GNP and POP (with intercept). Give the coefficient of POP, 3 decimals.",
            number(work.coefficients[2], 3),
        ),
        one(
            "log-predictor",
            FAMILY,
            "gapminder.csv",
            "Take 2002 only and regress lifeExp on log10(gdpPercap). How many years of life does a tenfold income bring? 2 decimals.",
            number(life.slope, 2),
        ),
        one(
            "flippers",
            FAMILY,
            "penguins.csv",
            "Linear regression: body_mass_g on flipper_length_mm. By how many grams does mass rise per mm? Two decimals.",
            number(flipper.slope, 2),
        ),
        one(
            "multiple-r2",
            FAMILY,
            "fuel_economy.csv",
            "hwy ~ displ + cyl, least squares with constant: R-squared? Four decimals, please.",
            number(hwy.r_squared, 4),
        ),
        one(
            "residual",
            FAMILY,
            "fuel_economy.csv",
            "Fit hwy on displ and cyl (OLS, with intercept). How large is the largest residual (observed minus fitted)? 2 decimals.",
            number(hwy.residuals.max(), 2),
        ),
        one(
            "one-firm",
            FAMILY,
            "grunfeld.csv",
            "For General Motors only: regress invest on value and capital with an intercept. Coefficient of capital, 4 decimals?",
            number(motors.coefficients[2], 4),
        ),
        one(
            "steepest",
            FAMILY,
            "grunfeld.csv",
            "Fit invest on value separately for each firm. Which firm has the largest slope?",
            words(slopes.idxmax()),
        ),
        one(
            "trend",
            FAMILY,
            "nile.csv",
            "Is there a linear trend in volume over the years? Slope per year, 3 decimals.",
            number(trend.slope, 3),
        ),
        one(
            "trend-p",
            FAMILY,
            "physiology.csv",
            "In a simple regression of Waist on Weight, what are the slope and the correlation coefficient? 4 decimals each.",
            number(waist.slope, 4, "slope"),
            number(waist.rvalue, 4, "r"),
        ),
        one(
            "glass",
            FAMILY,
            "glass.csv",
            "slope and intercept of RI ~ Ca, both with three decimals",
            number(index.slope, 3, "slope"),
            number(index.intercept, 3, "intercept"),
        ),
        one(
            "residual-error",
            FAMILY,
            "macro.csv",
            "Regress realcons on realdpi with intercept. Residual standard error (square root of SSE/(n-2)), 2 decimals?",
            number(float(np.sqrt((demand.residuals**2).sum() / (len(macro) - 2))), 2),
        ),
        one(
            "quadratic",
            FAMILY,
            "cars.csv",
            "Fit a parabola: Miles_per_Gallon as a quadratic function of Weight_in_lbs/1000. Coefficient of the squared term, 3 decimals.",
            number(curve[0], 3),
        ),
        one(
            "three-predictors",
            FAMILY,
            "marriage_survey.csv",
            "OLS for rate_marriage with age, yrs_married and children (and a constant): the coefficient of yrs_married, 4 decimals.",
            number(rating.coefficients[2], 4),
        ),
        one(
            "weekly-rise",
            FAMILY,
            "co2.csv",
            "Number the rows 0, 1, 2, ... and fit co2 on that number, leaving out missing values. Slope times 52, 3 decimals?",
            number(52 * rising.slope, 3),
        ),
    ]


@dataclass(frozen=True)
class _Fit:
    coefficients: np.ndarray[tuple[int], np.dtype[np.float64]]
    residuals: np.ndarray[tuple[int], np.dtype[np.float64]]
    r_squared: float
    adjusted: float


def _fit(table: pd.DataFrame, explained: str, by: Sequence[str]) -> _Fit:
    """Return a least squares fit with a constant, whose coefficient comes first."""
    y = table[explained].to_numpy(dtype=float)
    x = np.column_stack([np.ones(len(y)), table[list(by)].to_numpy(dtype=float)])
    coefficients = np.linalg.lstsq(x, y, rcond=None)[0]
    residuals = y - x @ coefficients
    r_squared = 1 - float((residuals**2).sum() / ((y - y.mean()) ** 2).sum())
    free = len(y) - len(by) - 1
    return _Fit(coefficients, residuals, r_squared, 1 - (1 - r_squared) * (len(y) - 1) / free)


def _known_mileage(cars: pd.DataFrame) -> pd.Series[float]:
    return cars["Miles_per_Gallon"].dropna()
