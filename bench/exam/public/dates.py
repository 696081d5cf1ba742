"""Questions about dates, times and periods."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from bench.exam.questions import Question
from bench.exam.tables import read
from bench.exam.writing import count, number, one, words

FAMILY = "dates"


def questions(folder: Path) -> list[Question]:
    """Return the questions of this family."""
    weather = _by_date(read(folder / "seattle_weather.csv"), "date")
    temps = _by_date(read(folder / "seattle_temps.csv"), "date")
    tech = read(folder / "tech_stocks.csv")
    tech["date"] = pd.to_datetime(tech["date"], format="%b %d %Y")
    jobs = _by_date(read(folder / "us_employment.csv"), "month")
    iowa = read(folder / "iowa_electricity.csv")
    riots = read(folder / "la_riots.csv")
    raw = read(folder / "penguins_raw.csv")
    co2 = read(folder / "co2.csv")
    co2.index = pd.to_datetime(co2["date"].astype(str), format="%Y%m%d")
    prices = read(folder / "prices.csv")
    prices["Date"] = pd.to_datetime(prices["Date"])
    lincoln = _by_date(read(folder / "lincoln_weather.csv"), "DATE")
    crimea = _by_date(read(folder / "crimea.parquet"), "date")
    macro = read(folder / "macro.csv")
    monthly = weather["precipitation"].resample("MS").sum()
    yearly_rain = weather["precipitation"].resample("YS").sum()
    hourly = temps["temp"].groupby(temps.index.hour).mean()
    google = prices[prices["Ticker"] == "GOOG"].set_index("Date")
    volume = google["Volume"].resample("YS").sum()
    weekday = pd.to_datetime(riots["death_date"]).dt.day_name().value_counts()
    eggs = pd.to_datetime(raw["Date Egg"])
    july = lincoln[lincoln.index.month == 7]
    ibm = tech[tech["symbol"] == "IBM"].set_index("date")["price"]
    years = macro.groupby("year")["realgdp"].mean()
    growth = 100 * (years.loc[2008] / years.loc[2007] - 1)
    rolling = weather["temp_max"].rolling(7).mean()
    weekly = google["Close"].resample("W-FRI").last()
    return [
        one(
            "wettest-month",
            FAMILY,
            "seattle_weather.csv",
            "Which calendar month (YYYY-MM) had the most precipitation in total?",
            words(f"{monthly.idxmax():%Y-%m}"),
        ),
        one(
            "year-sum",
            FAMILY,
            "seattle_weather.csv",
            "How much precipitation fell in 2014 altogether? One decimal.",
            number(yearly_rain.loc["2014-01-01"], 1),
        ),
        one(
            "weekend",
            FAMILY,
            "seattle_weather.csv",
            "Average temp_max on Saturdays and Sundays, rounded to 2 decimals.",
            number(weather.loc[weather.index.dayofweek >= 5, "temp_max"].mean(), 2),
        ),
        one(
            "rolling",
            FAMILY,
            "seattle_weather.csv",
            "What is the maximum of the 7-day moving average (trailing, full windows only) of temp_max? 3 decimals.",
            number(rolling.max(), 3),
        ),
        one(
            "hour-of-day",
            FAMILY,
            "seattle_temps.csv",
            "At which hour of the day (0-23) is it warmest on average?",
            count(hourly.idxmax()),
        ),
        one(
            "coldest-day",
            FAMILY,
            "seattle_temps.csv",
            "Take daily means of temp. On which day was the daily mean lowest? Write it as YYYY-MM-DD.",
            words(f"{temps['temp'].resample('D').mean().idxmin():%Y-%m-%d}"),
        ),
        one(
            "month-names",
            FAMILY,
            "tech_stocks.csv",
            "What was the average IBM price in 2005? Dates are written like 'Jan 1 2000'. Two decimals.",
            number(ibm.loc["2005"].mean(), 2),
        ),
        one(
            "yearly-change",
            FAMILY,
            "us_employment.csv",
            "By how many (thousand) did nonfarm change from January 2010 to January 2015?",
            count(jobs.loc["2015-01-01", "nonfarm"] - jobs.loc["2010-01-01", "nonfarm"]),
        ),
        one(
            "quarter-mean",
            FAMILY,
            "us_employment.csv",
            "Mean construction employment in the second quarter of 2009 (April to June)? One decimal.",
            number(jobs.loc["2009-04-01":"2009-06-01", "construction"].mean(), 1),
        ),
        one(
            "decade",
            FAMILY,
            "iowa_electricity.csv",
            "Sum of net_generation from all sources in the year 2010?",
            count(iowa.loc[iowa["year"].str.startswith("2010"), "net_generation"].sum()),
        ),
        one(
            "weekday",
            FAMILY,
            "la_riots.csv",
            "On which day of the week did most people die (death_date)?",
            words(weekday.index[0]),
        ),
        one(
            "days-between",
            FAMILY,
            "penguins_raw.csv",
            "How many days lie between the earliest and the latest Date Egg?",
            count((eggs.max() - eggs.min()).days),
        ),
        one(
            "integer-dates",
            FAMILY,
            "co2.csv",
            "The dates are written as YYYYMMDD. What is the mean co2 of the year 1990, ignoring missing weeks? 2 decimals.",
            number(co2.loc["1990", "co2"].mean(), 2),
        ),
        one(
            "volume-year",
            FAMILY,
            "prices.csv",
            "In which year was the total Volume of GOOG largest?",
            count(volume.idxmax().year),
        ),
        one(
            "weekly-last",
            FAMILY,
            "prices.csv",
            "Resample GOOG's Close to weeks ending on Friday, last value of each. What is the highest weekly close? 2 decimals.",
            number(weekly.max(), 2),
        ),
        one(
            "july",
            FAMILY,
            "lincoln_weather.csv",
            "mean TMAX in July, 2 decimals",
            number(july["TMAX"].mean(), 2),
        ),
        one(
            "deadliest-month",
            FAMILY,
            "crimea.parquet",
            "In which month did most soldiers die of disease? YYYY-MM.",
            words(f"{crimea['disease'].idxmax():%Y-%m}"),
        ),
        one(
            "annual-growth",
            FAMILY,
            "macro.csv",
            "Average the four quarters of realgdp per year. By what percentage did the yearly average of 2008 exceed that of 2007? 2 decimals.",
            number(growth, 2),
        ),
    ]


def _by_date(table: Any, column: str) -> Any:
    return table.set_index(pd.DatetimeIndex(pd.to_datetime(table[column])))
