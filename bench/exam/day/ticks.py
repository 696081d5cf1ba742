"""Two million ticks: too many to print, but still one pass of pandas."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from bench.exam.day import sources
from bench.exam.day.asking import ask, largest, numbers, question
from bench.exam.day.checks import table
from bench.exam.questions import Number, Question, Words
from bench.exam.writing import count

FILE = ("ticks.parquet",)


def vwap(ticks: pd.DataFrame) -> float:
    return float((ticks["price"] * ticks["size"]).sum() / ticks["size"].sum())


def questions(folder: Path) -> list[Question]:
    ticks = sources.ticks(folder)
    by_symbol = {str(symbol): part for symbol, part in ticks.groupby("symbol")}
    return [
        question(
            "ticks-count",
            FILE,
            ask(
                "how many ticks are in ticks.parquet, how many per symbol, and total size traded?",
                count(len(ticks), "ticks"),
                *(count(len(part), symbol) for symbol, part in by_symbol.items()),
                count(int(ticks["size"].sum()), "size"),
            ),
        ),
        question(
            "ticks-vwap",
            FILE,
            ask(
                "VWAP per symbol for the whole session in ticks.parquet, four decimals.",
                *numbers({symbol: vwap(part) for symbol, part in by_symbol.items()}, 4),
            ),
        ),
        _bars(by_symbol["HOLT"]),
        _blocks(ticks),
        _pauses(by_symbol),
        _chain(by_symbol["GRAN"], by_symbol["IVYX"]),
    ]


def _bars(ticks: pd.DataFrame) -> Question:
    grouped = ticks.groupby(ticks["time"].dt.floor("5min"))
    bars = grouped["price"].agg(["first", "max", "min", "last"])
    volume = grouped["size"].sum()
    busiest = largest(volume)
    columns = {"open": bars["first"], "high": bars["max"], "low": bars["min"], "close": bars["last"], "volume": volume}
    return question(
        "ticks-to-bars",
        FILE,
        ask(
            "I need 5-minute OHLCV bars for HOLT from ticks.parquet, saved to holt_5m.csv (time, open, high, low, close, volume). How many "
            "bars, and when does the one with the most volume start?",
            count(len(bars), "bars"),
            Words((f"{busiest:%H:%M}",)),
            table("holt_5m.csv", {name: list(values) for name, values in columns.items()}),
        ),
    )


def _blocks(ticks: pd.DataFrame) -> Question:
    blocks = ticks[ticks["size"] > 1000]
    return question(
        "ticks-blocks",
        FILE,
        ask(
            "What share of the ticks in ticks.parquet is larger than 1000, and what share of the traded size do these make up? Percent, two "
            "decimals each.",
            Number(100 * len(blocks) / len(ticks), 2, "% of ticks"),
            Number(100 * float(blocks["size"].sum() / ticks["size"].sum()), 2, "% of size"),
        ),
    )


def _pauses(by_symbol: dict[str, pd.DataFrame]) -> Question:
    pauses = {symbol: float(part["time"].diff().max().total_seconds()) for symbol, part in by_symbol.items()}
    return question(
        "ticks-pauses",
        FILE,
        ask(
            "Longest time without a tick for each symbol in ticks.parquet, in seconds (3 decimals)? The file is in order of time.",
            *numbers(pauses, 3),
        ),
    )


def _chain(first: pd.DataFrame, second: pd.DataFrame) -> Question:
    hour = first["time"].dt.floor("h")
    hourly = {f"{moment:%H:%M}": vwap(part) for moment, part in first.groupby(hour)}
    other = {f"{moment:%H:%M}": vwap(part) for moment, part in second.groupby(second["time"].dt.floor("h"))}
    moves = first["price"].diff()
    return question(
        "ticks-chain",
        FILE,
        ask(
            "GRAN in ticks.parquet: first and last price of the session?",
            Number(float(first["price"].iloc[0]), 2, "first"),
            Number(float(first["price"].iloc[-1]), 2, "last"),
        ),
        ask("VWAP by hour (clock hours), 3 decimals", *numbers(hourly, 3)),
        ask("same for IVYX", *numbers(other, 3)),
        ask(
            "back to GRAN: how many times did the price go up from one tick to its next, and how many times down?",
            count(int((moves > 0).sum()), "up"),
            count(int((moves < 0).sum()), "down"),
        ),
        ask(
            "write the hourly VWAPs of both to hourly_vwap.csv, columns hour, GRAN, IVYX",
            table("hourly_vwap.csv", {"GRAN": list(hourly.values()), "IVYX": list(other.values())}, within=0.0006),
        ),
    )
