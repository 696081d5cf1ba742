"""Trades: the result by symbol before and after fees, open positions, the broker's fees."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from bench.exam.day import sources
from bench.exam.day.asking import ask, in_month, largest, numbers, question
from bench.exam.day.checks import labelled, picture, table
from bench.exam.questions import Number, Question, Words

FILE = ("trades.csv",)


@dataclass
class Position:
    """The open purchases of one symbol, oldest first, and the realised result of its sales."""

    lots: deque[list[float]] = field(default_factory=deque)
    realised: float = 0.0

    def sell(self, quantity: float, price: float) -> None:
        while quantity > 0:
            lot = self.lots[0]
            part = min(quantity, lot[0])
            self.realised += part * (price - lot[1])
            lot[0] -= part
            quantity -= part
            if lot[0] == 0:
                self.lots.popleft()

    @property
    def quantity(self) -> float:
        return sum(lot[0] for lot in self.lots)

    @property
    def cost(self) -> float:
        return sum(lot[0] * lot[1] for lot in self.lots)


def first_in_first_out(trades: pd.DataFrame) -> dict[str, Position]:
    """Match each sale with the oldest purchases of its symbol; the trades must be sorted, oldest first."""
    books: dict[str, Position] = {}
    for trade in trades.itertuples():
        book = books.setdefault(str(trade.symbol), Position())
        if trade.side == "BUY":
            book.lots.append([float(str(trade.quantity)), float(str(trade.price))])
        else:
            book.sell(float(str(trade.quantity)), float(str(trade.price)))
    return dict(sorted(books.items()))


def at_average_cost(trades: pd.DataFrame) -> dict[str, float]:
    """Return the realised result by symbol if each sale costs the average of the held shares."""
    held: dict[str, tuple[float, float]] = {}
    realised: dict[str, float] = {}
    for trade in trades.itertuples():
        symbol, amount, price = str(trade.symbol), float(str(trade.quantity)), float(str(trade.price))
        quantity, cost = held.get(symbol, (0.0, 0.0))
        if trade.side == "BUY":
            held[symbol] = (quantity + amount, cost + amount * price)
        else:
            average = cost / quantity
            realised[symbol] = realised.get(symbol, 0.0) + amount * (price - average)
            held[symbol] = (quantity - amount, cost - amount * average)
    return dict(sorted(realised.items()))


def questions(folder: Path) -> list[Question]:
    trades = sources.trades(folder)
    trades["turnover"] = trades["quantity"] * trades["price"]
    fees = {str(symbol): float(value) for symbol, value in trades.groupby("symbol")["fee"].sum().items()}
    return [*_results(trades, fees), *_holdings(trades), *_costs(trades, fees), _turnover(trades)]


def _results(trades: pd.DataFrame, fees: dict[str, float]) -> list[Question]:
    books = first_in_first_out(trades)
    gross = {symbol: book.realised for symbol, book in books.items()}
    net = {symbol: value - fees[symbol] for symbol, value in gross.items()}
    average = at_average_cost(trades)
    best = max(net, key=lambda symbol: net[symbol])
    first, *others = gross
    return [
        question(
            "pnl-fifo",
            FILE,
            ask(
                "trades.csv is our broker's export, newest trade on top. I need realised P&L by symbol, FIFO, once before fees and once "
                "after deducting every fee paid on that symbol (purchases that are still open included). Two decimals please.",
                *numbers({f"{symbol} before fees": value for symbol, value in gross.items()}, 2),
                *numbers({f"{symbol} after fees": value for symbol, value in net.items()}, 2),
            ),
        ),
        question(
            "pnl-average-cost",
            FILE,
            ask(
                "what did we make in total on trades.csv going by average cost instead of fifo? realised only, all symbols together: before "
                "fees, and minus all the fees in the file. careful, newest rows come first",
                Number(sum(average.values()), name="before fees"),
                Number(sum(average.values()) - sum(fees.values()), name="after fees"),
            ),
        ),
        question(
            "pnl-chain",
            FILE,
            ask(
                f"Realised profit of {first} in trades.csv on a first-in-first-out basis, ignoring fees? The file is sorted newest to oldest.",
                Number(gross[first], name=first),
            ),
            ask(f"And net of all the fees on {first}?", Number(net[first], name=f"{first} net")),
            ask("Now the same net figure for the other symbols.", *numbers({symbol: net[symbol] for symbol in others})),
            ask("Which one did best then?", Words((best,)), Number(net[best])),
            ask(
                "Good. Save it as pnl.csv, a row per symbol with columns symbol, realised, fees, net.",
                labelled("pnl.csv", {symbol: (gross[symbol], fees[symbol], net[symbol]) for symbol in gross}),
            ),
        ),
    ]


def _holdings(trades: pd.DataFrame) -> list[Question]:
    books = first_in_first_out(trades)
    last = trades.groupby("symbol")["price"].last()
    symbol = max(books, key=lambda name: books[name].quantity)
    value = books[symbol].quantity * float(last[symbol])
    buys, sales = (trades[(trades["symbol"] == "DUNE") & (trades["side"] == side)] for side in ("BUY", "SELL"))
    return [
        question(
            "positions",
            FILE,
            ask(
                "Going by trades.csv, how many of each symbol are we left with at the end?",
                *(Number(book.quantity, 0, name) for name, book in books.items()),
            ),
        ),
        question(
            "unrealised",
            FILE,
            ask(
                f"Our open {symbol} position from trades.csv: market value at the price of the last {symbol} trade, and the unrealised gain "
                "against the FIFO cost of what is left (no fees)? Rows are newest first, so mind the order.",
                Number(value, name="market value"),
                Number(value - books[symbol].cost, name="unrealised"),
            ),
        ),
        question(
            "average-prices",
            FILE,
            ask(
                "avg price we paid and avg price we got for DUNE, weighted by quantity, 2 decimals (trades.csv)",
                Number(float(buys["turnover"].sum() / buys["quantity"].sum()), 2, "bought"),
                Number(float(sales["turnover"].sum() / sales["quantity"].sum()), 2, "sold"),
            ),
        ),
    ]


def _costs(trades: pd.DataFrame, fees: dict[str, float]) -> list[Question]:
    venues = trades.groupby("venue")[["fee", "turnover"]].sum()
    dearest = str(largest(venues["fee"] / venues["turnover"]))
    points = 10_000 * float(venues["fee"][dearest] / venues["turnover"][dearest])
    return [
        question(
            "venue-costs",
            FILE,
            ask(
                "Which venue in trades.csv is the most expensive relative to what we trade there, i.e. fees over turnover (quantity times "
                "price)? Give it in basis points with one decimal, plus the fees paid there.",
                Words((dearest,)),
                Number(points, 1, "basis points"),
                Number(float(venues["fee"][dearest]), name="fees"),
            ),
        ),
        question(
            "gebuehren",
            FILE,
            ask(
                "Wie viel Gebühren haben wir laut trades.csv je Symbol bezahlt, und wie viel insgesamt? Bitte auf zwei Nachkommastellen.",
                *numbers(fees | {"insgesamt": sum(fees.values())}, 2),
            ),
        ),
        question(
            "fees-plot",
            FILE,
            ask(
                "Can you plot how our fees add up over the year (cumulative, from trades.csv) and save the picture as fees.png? And tell me "
                "where it ends up.",
                picture("fees.png"),
                Number(sum(fees.values()), name="all fees"),
            ),
        ),
    ]


def _turnover(trades: pd.DataFrame) -> Question:
    month = trades["time"].dt.to_period("M")
    by_month = trades.groupby(month)["turnover"].sum()
    sales = trades[trades["side"] == "SELL"]
    sold = sales.groupby(sales["time"].dt.to_period("M"))["turnover"].sum()
    busiest = largest(sold)
    return question(
        "turnover-chain",
        FILE,
        ask(
            "What's our turnover (quantity x price) over all of trades.csv?",
            Number(float(by_month.sum()), name="turnover"),
        ),
        ask("And by month?", *numbers(dict(by_month.items()))),
        ask("Only the sells please.", *numbers(dict(sold.items()))),
        ask(
            "Which month was the biggest there?",
            in_month(busiest.start_time.date()),
            Number(float(sold[busiest])),
        ),
        ask(
            "Save those monthly sell figures as sells_by_month.csv, oldest first.",
            table("sells_by_month.csv", {"*sells": list(sold)}),
        ),
    )
