"""The result of trades: realised profit and loss by symbol, before and after fees."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

Method = Literal["fifo", "average"]

_BUY = frozenset({"buy", "b", "bought", "long", "kauf", "achat"})
_SELL = frozenset({"sell", "s", "sold", "short", "verkauf", "vente"})
_NEGLIGIBLE = 1e-9


def profit_and_loss(
    trades: pd.DataFrame,
    *,
    method: Method = "fifo",
    symbol: str | None = "symbol",
    quantity: str = "quantity",
    price: str = "price",
    side: str | None = "side",
    fee: str | None = "fee",
    time: str | None = None,
) -> pd.DataFrame:
    """Return the result of trades by symbol, and `Total`: columns `realised` (before fees), `fees`, `net`, `position`, `cost`.

    The columns are `realised` (before fees), `fees` (of all trades, also of positions that are still open), `net` (realised - fees),
    `position` (the quantity still held; negative if sold short) and `cost` (the cost of the open position, before fees). A sale of more
    than is held opens a short position, and a purchase closes that first.

    Args:
        trades: One row per trade.
        method: Which units are sold first: `fifo`, those bought first, or `average`, at the average cost of all held.
        symbol: The column of symbols; None if all trades are of one.
        quantity: The column of quantities; positive, or signed where there is no `side`.
        price: The column of prices per unit.
        side: The column of `buy` or `sell`, in any case; without it (None, or no such column) quantities are signed.
        fee: The column of fees, positive for a cost; without it (None, or no such column) there are no fees.
        time: The column by which the trades are sorted; None if they are in order.

    Raises:
        KeyError: When a column does not exist.
        ValueError: When a side is neither `buy` nor `sell`, or when a quantity or a price is missing.
    """
    ordered = trades if time is None else trades.sort_values(time, kind="stable")
    signed = _signed_quantities(ordered, quantity, side)
    fees = ordered[fee].fillna(0.0) if fee is not None and fee in ordered else pd.Series(0.0, index=ordered.index)
    if signed.isna().any() or ordered[price].isna().any():
        raise ValueError("A quantity or a price is missing; remove such rows first")
    names = ordered[symbol] if symbol is not None else pd.Series("all", index=ordered.index)
    books: dict[object, _Book] = {}
    for name, amount, paid, cost in zip(names, signed, ordered[price], fees, strict=True):
        books.setdefault(name, _Book(method)).trade(float(amount), float(paid), float(cost))
    rows = {name: book.row() for name, book in sorted(books.items(), key=lambda item: str(item[0]))}
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["realised", "fees", "net", "position", "cost"])
    table.loc["Total"] = table.sum()
    table.index.name = symbol
    return table


@dataclass
class _Book:
    """The holdings of one symbol, as lots with a signed quantity and a price."""

    method: Method
    lots: deque[list[float]] = field(default_factory=deque)
    realised: float = 0.0
    fees: float = 0.0

    def trade(self, quantity: float, price: float, fee: float) -> None:
        self.fees += fee
        while abs(quantity) > _NEGLIGIBLE and self.lots and self.lots[0][0] * quantity < 0:
            held, cost = self.lots[0]
            closed = min(abs(held), abs(quantity))
            direction = 1 if held > 0 else -1
            self.realised += direction * closed * (price - cost)
            self.lots[0][0] -= direction * closed
            quantity += direction * closed
            if abs(self.lots[0][0]) <= _NEGLIGIBLE:
                self.lots.popleft()
        if abs(quantity) > _NEGLIGIBLE:
            self._add(quantity, price)

    def row(self) -> list[float]:
        position = sum(held for held, _ in self.lots)
        cost = sum(held * price for held, price in self.lots)
        return [self.realised, self.fees, self.realised - self.fees, position, cost]

    def _add(self, quantity: float, price: float) -> None:
        if self.method == "average" and self.lots:
            held, cost = self.lots[0]
            self.lots[0] = [held + quantity, (held * cost + quantity * price) / (held + quantity)]
        else:
            self.lots.append([quantity, price])


def _signed_quantities(trades: pd.DataFrame, quantity: str, side: str | None) -> pd.Series:
    if side is None or side not in trades:
        return trades[quantity]
    words = trades[side].astype("string").str.strip().str.casefold()
    known = words.isin(_BUY | _SELL)
    if not known.all():
        examples = ", ".join(repr(word) for word in trades[side][~known].astype(str).unique()[:5])
        raise ValueError(f"{side!r} should say buy or sell; {int((~known).sum())} rows say {examples}")
    sizes = trades[quantity].abs()
    return sizes.where(words.isin(_BUY), -sizes)
