"""Budget against actuals, from a workbook with one wide and one long sheet."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from bench.exam.day import sources
from bench.exam.day.asking import ask, in_month, largest, numbers, question
from bench.exam.day.checks import labelled, picture
from bench.exam.day_files import MONTHS
from bench.exam.questions import Number, Question, Words

FILE = ("budget.xlsx",)


def questions(folder: Path) -> list[Question]:
    budget, actuals = sources.budget(folder), sources.actuals(folder)
    planned = budget[list(MONTHS[:9])].sum(axis=1)
    spent = actuals.groupby("Department")["Amount"].sum()
    over = (spent - planned).sort_index()
    return [*_variance(over, planned, spent), *_parts(budget, actuals), _chain(budget, actuals, over)]


def _variance(over: pd.Series, planned: pd.Series, spent: pd.Series) -> list[Question]:
    worst = str(largest(over))
    values = {str(name): (float(planned[name]), float(spent[name]), float(over[name])) for name in over.index}
    return [
        question(
            "over-budget",
            FILE,
            ask(
                "budget.xlsx has a Budget sheet (departments by month) and an Actuals sheet up to September. Which department is furthest over "
                "its budget for January to September, by how much, and by what percentage of that budget (one decimal)?",
                Words((worst,)),
                Number(float(over[worst]), name="over"),
                Number(100 * float(over[worst] / planned[worst]), 1, "over %"),
            ),
        ),
        question(
            "variance-table",
            FILE,
            ask(
                "Make me a table of budget, actual and difference (actual minus budget) by department for Jan-Sep from budget.xlsx and save "
                "it as variance.csv. What's the difference overall?",
                labelled("variance.csv", values),
                Number(float(over.sum()), name="difference"),
            ),
        ),
    ]


def _parts(budget: pd.DataFrame, actuals: pd.DataFrame) -> list[Question]:
    travel = actuals[actuals["Category"] == "Travel"].groupby("Department")["Amount"].sum()
    months = actuals.groupby(actuals["Date"].dt.to_period("M"))["Amount"].sum()
    costliest = largest(months)
    yearly = budget.sum(axis=1)
    return [
        question(
            "travel",
            FILE,
            ask(
                "wer gibt am meisten für reisen aus? kategorie Travel im blatt Actuals von budget.xlsx, je abteilung",
                Words((str(largest(travel)),)),
                *numbers(dict(travel.items())),
            ),
        ),
        question(
            "spending-plot",
            FILE,
            ask(
                "Plot total actual spending per month from budget.xlsx (sheet Actuals) to spending.png; which month was the most expensive and "
                "what did it cost?",
                picture("spending.png"),
                in_month(costliest.start_time.date()),
                Number(float(months.max()), name="spent"),
            ),
        ),
        question(
            "full-year-budget",
            FILE,
            ask(
                "Full-year budget: total and the department with the largest one, from the Budget sheet in budget.xlsx",
                Number(float(yearly.sum()), 0, "budget"),
                Words((str(largest(yearly)),)),
                Number(float(yearly.max()), 0, "largest"),
            ),
        ),
    ]


def _chain(budget: pd.DataFrame, actuals: pd.DataFrame, over: pd.Series) -> Question:
    third = actuals[actuals["Date"].dt.month.isin([7, 8, 9])]
    quarter = (third.groupby("Department")["Amount"].sum() - budget[["Jul", "Aug", "Sep"]].sum(axis=1)).sort_index()
    worst = str(largest(quarter))
    categories = third[third["Department"] == worst].groupby("Category")["Amount"].sum()
    return question(
        "budget-chain",
        FILE,
        ask(
            "Actual minus budget by department, January to September, from the two sheets of budget.xlsx.",
            *numbers(dict(over.items())),
        ),
        ask("Just the third quarter?", *numbers(dict(quarter.items()))),
        ask("Which department is the worst in that quarter?", Words((worst,)), Number(float(quarter[worst]))),
        ask("What did they spend it on in that quarter, by category?", *numbers(dict(categories.items()))),
        ask(
            "Save this as categories.csv.",
            labelled("categories.csv", {str(name): (float(value),) for name, value in categories.items()}),
        ),
    )
