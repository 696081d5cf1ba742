"""Questions that the tables cannot answer: about a missing column, time, group or file."""

from __future__ import annotations

from pathlib import Path

from bench.exam.questions import Question, Refusal
from bench.exam.writing import one

FAMILY = "unanswerable"


def questions(folder: Path) -> list[Question]:
    """Return the questions of this family."""
    return [
        one(name, FAMILY, tables, text, Refusal())
        for name, tables, text in (
            ("column", "penguins.csv", "What is the average wingspan of the penguins?"),
            ("salary", "titanic.csv", "What was the mean ticket fare of the passengers?"),
            ("year-after", "gapminder.csv", "What was the life expectancy in France in 2019?"),
            ("year-before", "sunspots.csv", "How high was sunspot activity in 1650?"),
            ("country", "iowa_electricity.csv", "How much electricity did Nebraska generate in 2010?"),
            ("ticker", "prices.csv", "What was the highest close of Tesla (TSLA)?"),
            ("cause", "seattle_weather.csv", "How many people were injured by storms in Seattle in 2013?"),
            ("humidity", "lincoln_weather.csv", "Give me the mean humidity in Lincoln in 2016."),
            ("customer", "superstore.csv", "Which customer placed most orders, and how many?"),
            ("time-of-order", "superstore.csv", "What were the total sales in March 2017?"),
            ("file", "cars.csv", "What is the mean of the column price in sales_2023.csv?"),
            (
                "species",
                "penguins.csv",
                "What is the mean body mass of the Emperor penguins in this table?",
            ),
            ("passengers", "routes.csv airports.csv", "How many passengers flew from ORD to DFW?"),
            ("women", "physiology.csv", "What is the mean pulse of the women?"),
            ("petal", "glass.csv", "What is the average price of a sample of type Tabl?"),
        )
    ]
