"""Questions that name a file or a column wrongly, or not at all, and still have one answer in the existing files."""

from __future__ import annotations

from pathlib import Path

from bench.exam.day import sources
from bench.exam.day.asking import ask, largest, numbers, on_day, question
from bench.exam.day.prices import volatility
from bench.exam.day.trading import first_in_first_out
from bench.exam.questions import Number, Question, Words
from bench.exam.writing import count


def questions(folder: Path) -> list[Question]:
    return [*_misnamed(folder), *_unnamed(folder), *_loose(folder)]


def _misnamed(folder: Path) -> list[Question]:
    trades, orders = sources.trades(folder), sources.orders(folder)
    heli = sources.closes(folder, "HELI")
    return [
        question(
            "wrong-file-name",
            ("trades.csv", "customers.csv"),
            ask("Average fee per trade in trade.csv? two decimals", Number(float(trades["fee"].mean()), 2, "mean fee")),
        ),
        question(
            "wrong-extension",
            ("orders.csv", "invoices.csv"),
            ask(
                "How many orders in orders.xlsx were cancelled, and how many shipped?",
                count(int((orders["status"] == "cancelled").sum()), "cancelled"),
                count(int((orders["status"] == "shipped").sum()), "shipped"),
            ),
        ),
        question(
            "wrong-column-name",
            ("trades.csv",),
            ask(
                "Total commission in trades.csv, or whatever they call that column, per venue please, to the cent",
                *numbers(dict(trades.groupby("venue")["fee"].sum().items()), 2),
            ),
        ),
        question(
            "column-in-other-words",
            ("daily_closes.csv",),
            ask(
                "What were the mean and the highest Closing Price of heli in daily_closes.csv? 2 decimals",
                Number(float(heli.mean()), 2, "mean"),
                Number(float(heli.max()), 2, "highest"),
            ),
        ),
    ]


def _unnamed(folder: Path) -> list[Question]:
    trades, bars = sources.trades(folder), sources.bars(folder)
    orders, customers = sources.orders(folder), sources.customers(folder)
    known = orders[orders["customer_id"].isin(customers["customer_id"])]
    spent = known.groupby("customer_id")["amount"].sum()
    best = str(largest(spent))
    name = " ".join(str(customers.set_index("customer_id")["name"][best]).split())
    often = int((known["customer_id"].value_counts() > 20).sum())
    return [
        question(
            "just-looking",
            ("bars_1m.csv",),
            ask(
                "what have I got here? how many rows, from when to when",
                count(len(bars), "rows"),
                on_day(bars["timestamp"].min().date()),
                on_day(bars["timestamp"].max().date()),
            ),
        ),
        question(
            "broker",
            ("trades.csv",),
            ask("What did the broker cost us in 2023 all in all?", Number(float(trades["fee"].sum()), name="fees")),
        ),
        question(
            "best-customer",
            ("customers.csv", "orders.csv"),
            ask(
                "who's our best customer? whatever they ordered counts, shipped or not; name and amount",
                Words((name, name.rstrip("."), best)),
                Number(float(spent[best]), name="ordered"),
            ),
        ),
        question(
            "regulars",
            ("customers.csv", "orders.csv"),
            ask("How many of our customers have ordered more than 20 times?", count(often, "customers")),
        ),
        question(
            "offene-posten",
            ("invoices.csv", "orders.csv"),
            ask(
                "welche Rechnung ist am längsten unbezahlt?",
                Words((_oldest_unpaid(folder),)),
            ),
        ),
    ]


def _oldest_unpaid(folder: Path) -> str:
    invoices = sources.invoices(folder)
    unpaid = invoices[invoices["paid"].isna()]
    waiting = unpaid.set_index("invoice")["issued"]
    return str(largest((waiting.max() - waiting).dt.days))


def _loose(folder: Path) -> list[Question]:
    realised = {symbol: book.realised for symbol, book in first_in_first_out(sources.trades(folder)).items()}
    worst = min(realised, key=lambda symbol: realised[symbol])
    risk = {ticker: volatility(sources.closes(folder, ticker)) for ticker in ("HELI", "KITE", "ORBX")}
    wildest = max(risk, key=lambda ticker: risk[ticker])
    return [
        question(
            "worst-symbol",
            ("trades.csv",),
            ask(
                "Which position hurt us most last year? Realised, first in first out, before fees.",
                Words((worst,)),
                Number(realised[worst], name=worst),
            ),
        ),
        question(
            "wildest-ticker",
            ("daily_closes.csv",),
            ask(
                "Leave NOVA aside, it had a split. Which of the others is the riskiest, by annualised volatility of daily log returns (252 "
                "days, sample)? In percent.",
                Words((wildest,)),
                Number(risk[wildest], name="volatility %"),
            ),
        ),
    ]
