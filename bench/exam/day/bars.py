"""One-minute bars: longer bars, VWAP, returns, a synthetic series."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
from bench.exam.day import sources
from bench.exam.day.asking import ask, largest, on_day, question
from bench.exam.day.checks import picture, random_walk, table
from bench.exam.questions import Number, Question, Words
from bench.exam.writing import count

FILE = ("bars_1m.csv",)
SIMULATED = 1000
_HOW = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}


def longer(bars: pd.DataFrame, length: str) -> pd.DataFrame:
    """Return bars of another length, without those that contain no minute."""
    return bars.set_index("timestamp").resample(length).agg(_HOW).dropna(subset=["open"])


def outside_fences(values: pd.Series) -> pd.Series:
    """Return a mask of the values that lie more than 1.5 interquartile ranges below the first or above the third quartile."""
    low, high = values.quantile(0.25), values.quantile(0.75)
    reach = 1.5 * (high - low)
    return (values < low - reach) | (values > high + reach)


def questions(folder: Path) -> list[Question]:
    bars = sources.bars(folder)
    returns = bars["close"].pct_change().dropna()
    return [_daily(bars), _simulation(bars, returns), *_prices(bars), *_minutes(bars, returns), _quarters(bars)]


def _daily(bars: pd.DataFrame) -> Question:
    daily = longer(bars, "1D")
    last = daily.iloc[-1]
    return question(
        "daily-bars",
        FILE,
        ask(
            "Turn bars_1m.csv into daily bars and save them as daily.csv with date, open, high, low, close and volume. How many days is that "
            "and what are open, high, low and close of the last one?",
            count(len(daily), "days"),
            *(Number(float(last[name]), 2, name) for name in ("open", "high", "low", "close")),
            table("daily.csv", {name: list(daily[name]) for name in _HOW}),
        ),
    )


def _simulation(bars: pd.DataFrame, returns: pd.Series) -> Question:
    close = float(bars["close"].iloc[-1])
    mean, deviation = float(returns.mean()), float(returns.std())
    return question(
        "workflow-chain",
        FILE,
        ask(
            "Load bars_1m.csv. How many rows and columns does it have?",
            count(len(bars), "rows"),
            count(bars.shape[1], "columns"),
        ),
        ask(
            "Mean one-minute return of the close? Simple returns from one row to the next.",
            Number(mean, name="mean return"),
        ),
        ask(
            "And the volatility, i.e. the sample standard deviation of those returns?",
            Number(deviation, name="deviation"),
        ),
        ask(
            f"Simulate {SIMULATED} further minutes as a random walk with that mean and that standard deviation (normal returns, any seed you "
            "like), starting from the last close, and write it to synthetic.csv with the columns timestamp and close.",
            random_walk("synthetic.csv", rows=SIMULATED, start=close, mean=mean, deviation=deviation),
        ),
        ask(
            "Draw the real closes and the simulated ones after them in one chart, real_and_synthetic.png.",
            picture("real_and_synthetic.png"),
        ),
    )


def _prices(bars: pd.DataFrame) -> list[Question]:
    day = bars[bars["timestamp"].dt.date == pd.Timestamp("2024-03-13").date()]
    typical = (day["high"] + day["low"] + day["close"]) / 3
    returns = longer(bars, "1h")["close"].pct_change().dropna()
    yearly = 100 * float(returns.std()) * math.sqrt(24 * 365)
    return [
        question(
            "vwap-day",
            FILE,
            ask(
                "vwap for 13 march from bars_1m.csv, typical price (high+low+close)/3 weighted by volume, 2 decimals",
                Number(float((typical * day["volume"]).sum() / day["volume"].sum()), 2, "VWAP"),
            ),
        ),
        question(
            "hourly-volatility",
            FILE,
            ask(
                "This trades round the clock: what's the annualised volatility (percent, one decimal) if I take hourly closes from "
                "bars_1m.csv, simple returns, sample standard deviation and 24*365 hours a year?",
                Number(yearly, 1, "volatility %"),
            ),
        ),
    ]


def _minutes(bars: pd.DataFrame, returns: pd.Series) -> list[Question]:
    times = bars["timestamp"]
    expected = int((times.iloc[-1] - times.iloc[0]).total_seconds() // 60) + 1
    volume = bars.groupby(times.dt.hour)["volume"].sum()
    hour = int(largest(volume))
    clock = f"{(hour + 11) % 12 + 1}"
    half = "pm" if hour >= 12 else "am"
    biggest = int(largest(returns.abs()))
    moment = times[biggest]
    daily = bars.groupby(times.dt.date)["volume"].sum()
    return [
        question(
            "missing-minutes",
            FILE,
            ask(
                "Is bars_1m.csv complete? Count the minutes missing between its first and its last row.",
                count(expected - len(bars), "missing minutes"),
            ),
        ),
        question(
            "busiest-hour",
            FILE,
            ask(
                "At which hour of the day is there the most volume in bars_1m.csv, summed over all days, and what share of the total is that "
                "in percent, 1 decimal?",
                Words(
                    (
                        str(hour),
                        f"{hour:02}",
                        f"{hour}:00",
                        f"{hour}h",
                        f"{clock} {half}",
                        f"{clock}{half}",
                        f"{clock}:00 {half}",
                    )
                ),
                Number(100 * float(volume.max() / volume.sum()), 1, "share %"),
            ),
        ),
        question(
            "groesste-bewegung",
            FILE,
            ask(
                "In welcher Minute gab es in bars_1m.csv die betragsmäßig größte Änderung des Schlusskurses gegenüber der Zeile davor (in "
                "Prozent)? Zeitpunkt und Änderung auf drei Nachkommastellen.",
                on_day(moment.date()),
                Words((f"{moment:%H:%M}",)),
                Number(100 * float(returns[biggest]), 3, "Änderung %"),
            ),
        ),
        question(
            "volume-plot",
            FILE,
            ask(
                "Bar chart of the daily volume in bars_1m.csv as volume.png, please, and what was the biggest day's volume?",
                picture("volume.png"),
                Number(float(daily.max()), name="largest daily volume"),
            ),
        ),
    ]


def _quarters(bars: pd.DataFrame) -> Question:
    quarters = longer(bars, "15min")
    span = quarters["high"] - quarters["low"]
    odd = outside_fences(span)
    calm = span[~odd]
    by_day = calm.groupby(pd.DatetimeIndex(calm.index).date).mean()
    widest = largest(by_day)
    return question(
        "range-chain",
        FILE,
        ask(
            "Make 15-minute bars from bars_1m.csv (starting on the quarter hour). How many are there and what's the average range, high minus "
            "low, two decimals?",
            count(len(quarters), "bars"),
            Number(float(span.mean()), 2, "mean range"),
        ),
        ask(
            "Without the outliers? Ranges beyond 1.5 IQR from the quartiles. How many go, and what's the average then?",
            count(int(odd.sum()), "outliers"),
            Number(float(calm.mean()), 2, "mean range"),
        ),
        ask("By day now, still without them.", *(Number(float(value), 2, str(day)) for day, value in by_day.items())),
        ask("Which day was the widest?", on_day(widest), Number(float(by_day.max()), 2)),
        ask("Save these daily averages as range_by_day.csv.", table("range_by_day.csv", {"*ranges": list(by_day)})),
    )
