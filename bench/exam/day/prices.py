"""Daily closes with gaps and a split: returns, drawdown, volatility, correlation."""

from __future__ import annotations

import math
from itertools import combinations, pairwise
from pathlib import Path

import pandas as pd
from bench.exam.day import sources
from bench.exam.day.asking import ask, in_month, largest, numbers, on_day, question
from bench.exam.day.checks import picture, table
from bench.exam.day_files import SPLIT_DAY, SPLIT_RATIO
from bench.exam.questions import Number, Question, Words
from bench.exam.writing import count

FILE = ("daily_closes.csv",)
TRADING_DAYS = 252


def volatility(closes: pd.Series) -> float:
    """Return the annualised sample standard deviation of daily log returns, in percent."""
    values = [float(value) for value in closes]
    returns = [math.log(after / before) for before, after in pairwise(values)]
    mean = sum(returns) / len(returns)
    variance = sum((value - mean) ** 2 for value in returns) / (len(returns) - 1)
    return 100 * math.sqrt(variance * TRADING_DAYS)


def deepest_fall(closes: pd.Series) -> tuple[float, pd.Timestamp, pd.Timestamp]:
    """Return the largest fall from a high in percent (positive), the day of the high and the day of the low."""
    falls = closes / closes.cummax() - 1
    low = pd.Timestamp(str(falls.idxmin()))
    return -100 * float(falls.min()), pd.Timestamp(str(closes[:low].idxmax())), low


def before_split(closes: pd.Series) -> pd.Series:
    """Return the closes with those before the split divided by its ratio."""
    return closes.where(closes.index >= pd.Timestamp(SPLIT_DAY), closes / SPLIT_RATIO)


def common(folder: Path) -> pd.DataFrame:
    """Return the closes side by side, on the days that all four have."""
    return sources.daily_closes(folder).pivot(index="date", columns="ticker", values="close").dropna()


def questions(folder: Path) -> list[Question]:
    return [*_risk(folder), *_split(folder), *_faults(folder), *_together(folder), _rebased(folder), _months(folder)]


def _risk(folder: Path) -> list[Question]:
    heli = sources.closes(folder, "HELI")
    fall, high, low = deepest_fall(heli)
    returns = heli.pct_change().dropna()
    sharpe = float(returns.mean() / returns.std() * math.sqrt(TRADING_DAYS))
    vols = {ticker: volatility(sources.closes(folder, ticker)) for ticker in ("HELI", "KITE")}
    return [
        question(
            "drawdown",
            FILE,
            ask(
                "How bad was HELI's worst drawdown in daily_closes.csv (on closes)? As a positive percentage with two decimals, and from which day "
                "to which day, high to low.",
                Number(fall, 2, "drawdown %"),
                on_day(high.date()),
                on_day(low.date()),
            ),
        ),
        question(
            "volatility",
            FILE,
            ask(
                "annualised vol for HELI and KITE from daily_closes.csv - daily log returns between the closes that are there, sample std, 252 days, "
                "in % with 2 decimals",
                *numbers(vols, 2),
            ),
        ),
        question(
            "sharpe",
            FILE,
            ask(
                "Sharpe ratio of HELI over the whole of daily_closes.csv please: simple daily returns, no risk-free rate, sample standard deviation, "
                "times the square root of 252. Three decimals.",
                Number(sharpe, 3, "Sharpe"),
            ),
        ),
    ]


def _split(folder: Path) -> list[Question]:
    nova = sources.closes(folder, "NOVA")
    mended = before_split(nova)
    growth = 100 * float(mended.iloc[-1] / mended.iloc[0] - 1)
    return [
        question(
            "cliff",
            FILE,
            ask(
                "There's a cliff in NOVA's closes in daily_closes.csv, one day it is worth about a quarter. Which day is that, and what most likely "
                "happened?",
                on_day(SPLIT_DAY),
                Words(("split", "splits", "stock split", "share split", "split-adjusted")),
            ),
        ),
        question(
            "split-adjusted",
            FILE,
            ask(
                f"NOVA split {SPLIT_RATIO} for 1 on {SPLIT_DAY:%d %B %Y} and the closes in daily_closes.csv are not adjusted (that day's close is "
                "already the new one). After adjusting the earlier ones, what's the total return over the file in percent, and the "
                "annualised volatility of daily log returns (sample, 252 days, percent)?",
                Number(growth, name="return %"),
                Number(volatility(mended), name="volatility %"),
            ),
        ),
    ]


def _faults(folder: Path) -> list[Question]:
    frame = sources.daily_closes(folder)
    empty = frame["close"].isna().groupby(frame["ticker"]).sum()
    sparse = str(largest(empty))
    days = frame.groupby("ticker")["date"].nunique()
    short = str(largest(-days))
    absent = sorted(set(frame["date"]) - set(frame.loc[frame["ticker"] == short, "date"]))
    return [
        question(
            "gaps",
            FILE,
            ask(
                "Before I use daily_closes.csv: which ticker has empty closes and how many? And which ticker is missing whole days that the others "
                "have, and how many days?",
                Words((sparse,)),
                count(empty[sparse], "empty closes"),
                Words((short,)),
                count(len(absent), "missing days"),
            ),
        ),
        question(
            "zeitraum",
            FILE,
            ask(
                "Welchen Zeitraum deckt daily_closes.csv ab, wie viele Handelstage sind das, und wie hoch war der höchste Schlusskurs von ORBX?",
                on_day(frame["date"].min().date()),
                on_day(frame["date"].max().date()),
                count(frame["date"].nunique(), "Handelstage"),
                Number(float(sources.closes(folder, "ORBX").max()), 2, "Höchstkurs"),
            ),
        ),
    ]


def _together(folder: Path) -> list[Question]:
    frame = sources.daily_closes(folder)
    pair = (
        frame[frame["ticker"].isin(["HELI", "ORBX"])]
        .pivot(index="date", columns="ticker", values="close")
        .dropna()
        .pct_change()
    )
    rolling = pair["HELI"].rolling(20).corr(pair["ORBX"]).dropna()
    returns = common(folder).pct_change().dropna()
    pairs = {(a, b): float(returns[a].corr(returns[b])) for a, b in combinations(sorted(map(str, returns)), 2)}
    rest = {names: value for names, value in pairs.items() if "NOVA" not in names}
    closest = max(rest, key=lambda names: rest[names])
    return [
        question(
            "rolling-correlation",
            FILE,
            ask(
                "20-day rolling correlation between HELI and ORBX, daily_closes.csv. Drop the days where one of the two has no close first, then "
                "simple daily returns. I need the latest value and the lowest one, three decimals, and the series as rolling.csv.",
                Number(float(rolling.iloc[-1]), 3, "latest"),
                Number(float(rolling.min()), 3, "lowest"),
                table("rolling.csv", {"*correlation": list(rolling)}, within=0.0006),
            ),
        ),
        question(
            "closest-pair",
            FILE,
            ask(
                "Leaving out NOVA because of its split: which two tickers in daily_closes.csv move together the most? Pearson correlation of simple "
                "daily returns over the days on which all four tickers have a close. Two decimals.",
                Words((str(closest[0]),)),
                Words((str(closest[1]),)),
                Number(rest[closest], 2, "correlation"),
            ),
        ),
    ]


def _rebased(folder: Path) -> Question:
    ends = {
        ticker: 100 * float(closes.iloc[-1] / closes.iloc[0])
        for ticker in ("HELI", "KITE")
        for closes in [sources.closes(folder, ticker)]
    }
    return question(
        "rebased-plot",
        FILE,
        ask(
            "Chart HELI against KITE from daily_closes.csv, both rebased to 100 at their first close, into rebased.png. Where do the two lines end "
            "(one decimal)?",
            picture("rebased.png"),
            *numbers(ends, 1),
        ),
    )


def _months(folder: Path) -> Question:
    def monthly(ticker: str) -> pd.Series:
        closes = sources.closes(folder, ticker)
        last = closes.groupby(pd.DatetimeIndex(closes.index).to_period("M")).last()
        return (100 * last.pct_change()).loc["2023-01":"2023-12"]

    heli, orbx = monthly("HELI"), monthly("ORBX")
    best = largest(heli)
    ahead = int((heli > orbx).sum())
    return question(
        "monthly-returns-chain",
        FILE,
        ask(
            "HELI's monthly returns for 2023 out of daily_closes.csv, last close of a month against the last close of the month before, in percent "
            "with two decimals.",
            *numbers(dict(heli.items()), 2),
        ),
        ask("Best month?", in_month(best.start_time.date()), Number(float(heli.max()), 2)),
        ask("And ORBX, same thing (an empty close doesn't count)?", *numbers(dict(orbx.items()), 2)),
        ask("In how many of those months was HELI ahead?", count(ahead, "months")),
        ask(
            "Put both side by side into monthly_returns.csv, columns month, HELI and ORBX.",
            table("monthly_returns.csv", {"HELI": list(heli), "ORBX": list(orbx)}),
        ),
    )
