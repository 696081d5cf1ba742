"""Questions about the rows that meet conditions."""

from __future__ import annotations

from pathlib import Path

from bench.exam.questions import Question
from bench.exam.tables import read
from bench.exam.writing import count, number, one, words

FAMILY = "filters"


def questions(folder: Path) -> list[Question]:
    """Return the questions of this family."""
    cars = read(folder / "cars.csv")
    titanic = read(folder / "titanic.csv")
    weather = read(folder / "seattle_weather.csv")
    store = read(folder / "superstore.csv")
    gap = read(folder / "gapminder.csv")
    crime = read(folder / "state_crime.csv")
    airports = read(folder / "airports.csv")
    survey = read(folder / "marriage_survey.csv")
    fuel = read(folder / "fuel_economy.csv")
    glass = read(folder / "glass.csv")
    prices = read(folder / "prices.csv")
    riots = read(folder / "la_riots.csv")
    elements = read(folder / "elements.csv")
    raw = read(folder / "penguins_raw.csv")
    women = titanic[(titanic["sex"] == "female") & (titanic["class"] == "3rd")]
    europe = gap[(gap["continent"] == "Europe") & (gap["year"] == 2007)]
    apple = prices[prices["Ticker"] == "AAPL"]
    return [
        one(
            "four-cylinders",
            FAMILY,
            "cars.csv",
            "How many cars have four cylinders and come from Japan?",
            count(((cars["Cylinders"] == 4) & (cars["Origin"] == "Japan")).sum()),
        ),
        one(
            "third-class-women",
            FAMILY,
            "titanic.csv",
            "What percentage of the women in 3rd class survived? One decimal.",
            number(100 * women["survived"].mean(), 1),
        ),
        one(
            "hot-days",
            FAMILY,
            "seattle_weather.csv",
            "on how many days was temp_max above 30 degrees?",
            count((weather["temp_max"] > 30).sum()),
        ),
        one(
            "dry-and-windy",
            FAMILY,
            "seattle_weather.csv lincoln_weather.csv",
            "Looking at seattle_weather.csv: count the days without any precipitation on which the wind was at least 5.",
            count(((weather["precipitation"] == 0) & (weather["wind"] >= 5)).sum()),
        ),
        one(
            "losses",
            FAMILY,
            "superstore.csv",
            "What is the summed profit of all order lines with a discount of more than 50 %? Round to 2 decimals.",
            number(store.loc[store["Discount"] > 0.5, "Profit"].sum(), 2),
        ),
        one(
            "cities-in-region",
            FAMILY,
            "superstore.csv",
            "How many different cities in the West region bought something of the category Technology?",
            count(store.loc[(store["Region"] == "West") & (store["Category"] == "Technology"), "City"].nunique()),
        ),
        one(
            "european-median",
            FAMILY,
            "gapminder.csv",
            "For European countries in 2007, what was the median gdpPercap? Give 2 decimals.",
            number(europe["gdpPercap"].median(), 2),
        ),
        one(
            "largest-in-year",
            FAMILY,
            "gapminder.csv",
            "Among African countries in 1952, which one had the largest population?",
            words(
                gap[(gap["continent"] == "Africa") & (gap["year"] == 1952)].sort_values("pop")["country"].iloc[-1],
            ),
        ),
        one(
            "both-above-average",
            FAMILY,
            "state_crime.csv",
            "How many states have both a murder rate and a poverty rate above the respective mean of all rows?",
            count(((crime["murder"] > crime["murder"].mean()) & (crime["poverty"] > crime["poverty"].mean())).sum()),
        ),
        one(
            "high-airports",
            FAMILY,
            "airports.csv",
            "Name the airport (column Name) with the highest altitude among those of type medium_airport.",
            words(
                airports[airports["Type"] == "medium_airport"].sort_values("Altitude")["Name"].iloc[-1],
            ),
        ),
        one(
            "between",
            FAMILY,
            "marriage_survey.csv",
            "Share of respondents aged from 27 to 37, both included, in percent with two decimals?",
            number(100 * survey["age"].between(27, 37).mean(), 2),
        ),
        one(
            "neither",
            FAMILY,
            "fuel_economy.csv",
            "Average highway mileage (hwy) of the cars that are neither SUVs nor pickups, two decimals please.",
            number(fuel.loc[~fuel["class"].isin(["suv", "pickup"]), "hwy"].mean(), 2),
        ),
        one(
            "any-of-three",
            FAMILY,
            "glass.csv",
            "How many samples contain some Ba or some Fe (at least one of the two above zero)?",
            count(((glass["Ba"] > 0) | (glass["Fe"] > 0)).sum()),
        ),
        one(
            "ticker-filter",
            FAMILY,
            "prices.csv",
            "On how many days did AAPL close higher than it opened?",
            count((apple["Close"] > apple["Open"]).sum()),
        ),
        one(
            "minors",
            FAMILY,
            "la_riots.csv",
            "How many of the people who died were younger than 21?",
            count((riots["age"] < 21).sum()),
        ),
        one(
            "light-gases",
            FAMILY,
            "elements.csv",
            "Which elements are gases in period 2? Count them.",
            count(((elements["standard state"] == "gas") & (elements["period"] == 2)).sum()),
        ),
        one(
            "spaces-in-names",
            FAMILY,
            "penguins_raw.csv",
            "Mean Flipper Length (mm) of penguins on Dream island whose Clutch Completion is No, to 2 decimals.",
            number(
                raw.loc[(raw["Island"] == "Dream") & (raw["Clutch Completion"] == "No"), "Flipper Length (mm)"].mean(),
                2,
            ),
        ),
    ]
