"""Read the day's files exactly, with knowledge of each format; nothing is guessed and nothing of analystd is used."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
from bench.exam.workbook import read_sheet


def trades(folder: Path) -> pd.DataFrame:
    """Return the trades, oldest first."""
    frame = pd.read_csv(folder / "trades.csv", parse_dates=["time"])
    return frame.sort_values("time", ignore_index=True)


def daily_closes(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "daily_closes.csv", parse_dates=["date"])


def closes(folder: Path, ticker: str) -> pd.Series:
    """Return the existing closes, by date."""
    frame = daily_closes(folder)
    return frame[frame["ticker"] == ticker].set_index("date")["close"].dropna()


def bars(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "bars_1m.csv", parse_dates=["timestamp"])


def ticks(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "ticks.parquet")


def ledger(folder: Path) -> pd.DataFrame:
    """Return the German ledger with dates, and with 0 where one side of a booking is empty."""
    frame = pd.read_csv(folder / "buchungen_2024.csv", sep=";", encoding="cp1252", dtype=str, keep_default_na=False)
    for side in ("Soll", "Haben"):
        frame[side] = [float(text.replace(".", "").replace(",", ".") or 0) for text in frame[side]]
    frame["Buchungsdatum"] = pd.to_datetime(frame["Buchungsdatum"], format="%d.%m.%Y")
    return frame


def customers(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "customers.csv", parse_dates=["since"])


def orders(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "orders.csv", parse_dates=["ordered"])


def invoices(folder: Path) -> pd.DataFrame:
    """Return the invoices, with amounts as numbers and each customer's name in one form (in lower case)."""
    frame = pd.read_csv(folder / "invoices.csv", parse_dates=["issued", "paid"])
    frame["amount"] = [float(text.removeprefix("$").replace(",", "")) for text in frame["amount"]]
    frame["customer"] = [same_name(name) for name in frame["customer"]]
    return frame


def same_name(name: str) -> str:
    """Return a name without the differences in typing: case, spaces, a final full stop."""
    return " ".join(name.lower().split()).rstrip(".").rstrip()


def budget(folder: Path) -> pd.DataFrame:
    """Return the planned amounts: departments as rows, months as columns."""
    header, *rows = read_sheet(folder / "budget.xlsx", "Budget")
    return pd.DataFrame(
        [row[1:] for row in rows], index=[str(row[0]) for row in rows], columns=[str(name) for name in header[1:]]
    )


def actuals(folder: Path) -> pd.DataFrame:
    header, *rows = read_sheet(folder / "budget.xlsx", "Actuals")
    frame = pd.DataFrame(rows, columns=[str(name) for name in header])
    frame["Date"] = pd.to_datetime(frame["Date"])
    return frame


def events(folder: Path) -> pd.DataFrame:
    """Return the events in order of time, with the device's fields as separate columns."""
    lines = (folder / "events.jsonl").read_text(encoding="utf-8").splitlines()
    frame = pd.DataFrame([json.loads(line) for line in lines])
    frame["ts"] = pd.to_datetime(frame["ts"])
    frame["os"] = [device["os"] for device in frame["device"]]
    frame["app"] = [device["app"] for device in frame["device"]]
    return frame
