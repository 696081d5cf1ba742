"""Write the files of an analyst's day: invented, seeded, the same on every machine, with the faults that such files have.

Random numbers only come from what NumPy and Python promise to keep stable (`random.random`, the raw bits of PCG64), so that another release
of either draws the same. A file's faults are part of the exam: trades come newest first, prices have gaps and a split, the ledger is German
and in Windows-1252, names are typed by people.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from bench.exam.workbook import Cell, write_workbook

Item = TypeVar("Item")

TICKS = 2_000_000
SPLIT_DAY = date(2023, 6, 12)
SPLIT_RATIO = 4


class Draws:
    """Random numbers from a seed, drawn only by methods that later Python versions keep stable."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random

    def chance(self, probability: float) -> bool:
        return self._random() < probability

    def below(self, bound: int) -> int:
        return int(self._random() * bound)

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self._random()

    def bell(self) -> float:
        """Return an approximately standard normal number."""
        return sum(self._random() for _ in range(12)) - 6.0

    def pick(self, items: Sequence[Item]) -> Item:
        return items[self.below(len(items))]

    def some(self, items: Sequence[Item], count: int) -> list[Item]:
        left = list(items)
        return [left.pop(self.below(len(left))) for _ in range(count)]


def write(folder: Path, names: Sequence[str] | None = None) -> None:
    """Write the day's files, or only those with these names, into an existing folder."""
    for name in NAMES if names is None else names:
        _MAKERS[name](folder / name)


def _write_csv(file: Path, header: str, rows: Sequence[Sequence[object]], *, encoding: str = "utf-8") -> None:
    delimiter = ";" if ";" in header else ","
    lines = [header, *(delimiter.join(str(value) for value in row) for row in rows)]
    file.write_bytes(("\n".join(lines) + "\n").encode(encoding))


def _working_days(first: date, last: date) -> list[date]:
    days = (first + timedelta(days=step) for step in range((last - first).days + 1))
    return [day for day in days if day.weekday() < 5]


def _trades(file: Path) -> None:
    draws = Draws(101)
    prices = {"ALDR": 48.0, "BEXA": 131.0, "CORV": 17.5, "DUNE": 264.0, "ERNO": 83.0}
    held = dict.fromkeys(prices, 0)
    rows: list[list[object]] = []
    for day in _working_days(date(2023, 1, 3), date(2023, 12, 21)):
        moment = datetime.combine(day, time(9, 1))
        for _ in range(draws.below(5)):
            moment += timedelta(seconds=60 + draws.below(5400))
            symbol = draws.pick(tuple(prices))
            prices[symbol] = max(2.0, prices[symbol] * (1 + 0.025 * draws.bell()))
            selling = held[symbol] > 0 and draws.chance(0.48)
            quantity = 5 * (1 + draws.below(min(80, held[symbol] // 5))) if selling else 5 * (2 + draws.below(60))
            held[symbol] += -quantity if selling else quantity
            venue = draws.pick(("Xetra", "Tradegate", "London"))
            rate = {"Xetra": 0.0009, "Tradegate": 0.0006, "London": 0.0013}[venue]
            fee = max(1.5, quantity * prices[symbol] * rate)
            side = "SELL" if selling else "BUY"
            rows.append([moment, symbol, side, quantity, f"{prices[symbol]:.2f}", f"{fee:.2f}", venue])
    _write_csv(file, "time,symbol,side,quantity,price,fee,venue", rows[::-1])


def _prices(file: Path) -> None:
    draws = Draws(102)
    days = _working_days(date(2022, 1, 3), date(2023, 12, 29))
    closes = {"HELI": 61.0, "KITE": 24.0, "NOVA": 312.0, "ORBX": 95.0}
    halted = {*days[176:182], *draws.some(days[200:], 3)}
    unknown = set(draws.some(days[5:-5], 7))
    rows: list[list[object]] = []
    for day in days:
        market = 0.008 * draws.bell()
        for ticker, close in closes.items():
            change = 1 + 0.0003 + market * (1.3 if ticker in {"HELI", "NOVA"} else 0.5) + 0.011 * draws.bell()
            closes[ticker] = close * change / (SPLIT_RATIO if (ticker, day) == ("NOVA", SPLIT_DAY) else 1)
            volume = 1000 + draws.below(9000)
            if ticker == "NOVA" and day >= SPLIT_DAY:
                volume *= SPLIT_RATIO
            if ticker == "KITE" and day in halted:
                continue
            shown = "" if ticker == "ORBX" and day in unknown else f"{closes[ticker]:.2f}"
            rows.append([day, ticker, shown, volume])
    _write_csv(file, "date,ticker,close,volume", rows)


def _bars(file: Path) -> None:
    draws = Draws(103)
    close = 2950.0
    rows: list[list[object]] = []
    for minute in range(14 * 1440):
        moment = datetime(2024, 3, 4) + timedelta(minutes=minute)
        lively = 1.8 if 13 <= moment.hour < 17 else 1.0
        opened, close = close, round(close * (1 + 0.0004 * lively * draws.bell()), 2)
        high = max(opened, close) + draws.between(0, 0.6)
        low = min(opened, close) - draws.between(0, 0.6)
        volume = lively * draws.between(0.5, 40)
        if draws.chance(0.996):
            rows.append(
                [f"{moment:%Y-%m-%d %H:%M}", *(f"{value:.2f}" for value in (opened, high, low, close)), f"{volume:.3f}"]
            )
    _write_csv(file, "timestamp,open,high,low,close,volume", rows)


def _ticks(file: Path) -> None:
    raw = np.random.PCG64(104).random_raw(TICKS)
    gaps = (raw & np.uint64(0x7FFF)).astype(np.int64) % 30_000 + 1
    start = int(datetime(2024, 5, 13, 7, tzinfo=UTC).timestamp()) * 1_000_000
    times = start + np.cumsum(gaps)
    names = np.array(["GRAN", "HOLT", "IVYX"])
    which = ((raw >> np.uint64(16)) % np.uint64(7)).astype(np.int64) % 3
    steps = ((raw >> np.uint64(24)) & np.uint64(7)).astype(np.int64)
    moves = np.where(steps == 0, -1, np.where(steps == 1, 1, 0))
    cents = np.zeros(TICKS, dtype=np.int64)
    for number, first in enumerate((10_250, 4_780, 23_915)):
        cents[which == number] = first + np.cumsum(moves[which == number])
    rare = ((raw >> np.uint64(40)) & np.uint64(0xFF)) == 0
    sizes = (((raw >> np.uint64(32)) & np.uint64(0xFF)).astype(np.int64) + 1) * np.where(rare, 20, 1)
    columns = {
        "time": pa.array(times, type=pa.timestamp("us")),
        "symbol": pa.array(names[which]),
        "price": pa.array(cents / 100.0),
        "size": pa.array(sizes.astype(np.int32)),
    }
    pq.write_table(pa.table(columns), file, compression="zstd", row_group_size=500_000)


def _german(amount: float) -> str:
    return f"{amount:,.2f}".replace(",", " ").replace(".", ",").replace(" ", ".")


_COSTS = {
    6000: "Aufwendungen für Rohstoffe",
    6300: "Raumkosten",
    6400: "Versicherungsbeiträge",
    6520: "Kfz-Kosten",
    6600: "Werbekosten",
    6815: "Bürobedarf",
}


def _ledger(file: Path) -> None:
    draws = Draws(105)
    rows: list[list[object]] = []
    count = 420
    uneven = set(draws.some(range(count), 3))
    pair: tuple[tuple[int, str, object, str], tuple[int, str, object, str]]
    for number, day_of_year in enumerate(sorted(draws.below(366) for _ in range(count))):
        day = f"{date(2024, 1, 1) + timedelta(days=day_of_year):%d.%m.%Y}"
        slip = f"B-{2024_0001 + number}"
        unit: object = draws.pick((100, 200, 300, 410))
        amount = round(draws.between(15, 400) * (1 + 40 * (draws.below(6) == 0)), 2)
        other = round(amount + draws.pick((0.9, -0.09, 9.0)), 2) if number in uneven else amount
        if draws.chance(0.3):
            pair = ((1200, "Forderungen", "", "Rechnung"), (4400, "Umsatzerlöse 19 %", unit, "Rechnung"))
        else:
            account = draws.pick(tuple(_COSTS))
            credited = draws.pick(((1800, "Bank"), (3300, "Verbindlichkeiten")))
            pair = ((account, _COSTS[account], unit, "Eingangsrechnung"), (*credited, "", "Eingangsrechnung"))
        (debit, debit_name, debit_unit, text), (credit, credit_name, credit_unit, _) = pair
        rows.append([day, slip, debit, debit_name, debit_unit, _german(amount), "", text])
        rows.append([day, slip, credit, credit_name, credit_unit, "", _german(other), text])
    _write_csv(
        file, "Buchungsdatum;Beleg;Konto;Bezeichnung;Kostenstelle;Soll;Haben;Buchungstext", rows, encoding="cp1252"
    )


_PLACES = (
    ("Leeds", "GB"),
    ("Bristol", "GB"),
    ("Lyon", "FR"),
    ("Nantes", "FR"),
    ("Köln", "DE"),
    ("Jena", "DE"),
    ("Porto", "PT"),
    ("Gent", "BE"),
)
_STEMS = [
    "Amber Foods",
    "Birch & Sons",
    "Calder Mills",
    "Dorn Optik",
    "Eastgate Print",
    "Falk Logistik",
    "Grey Heron",
    "Harbour Lights",
    "Iona Wool",
    "Jasper Tools",
    "Kessel Bräu",
    "Larch Interiors",
    "Moorland Dairy",
    "Nordlicht",
    "Old Quay Trading",
    "Pinnacle Roofs",
    "Quill Books",
    "Rowan Textiles",
    "Sable Art",
    "Thistle Farms",
    "Ulmer Technik",
    "Vale Cycles",
    "Westbrook Clinic",
    "Yarrow Herbs",
    "Zephyr Sails",
]


def customer_names() -> list[str]:
    """Return the correct names of all customers."""
    return [f"{stem} {form}" for stem in _STEMS for form in ("Ltd", "GmbH", "Group")]


def _as_typed(name: str, draws: Draws) -> str:
    typed = draws.pick((name, name, name, name.upper(), name.lower(), name.replace(" ", "  ", 1)))
    return draws.pick(("", "", "", " ")) + typed + draws.pick(("", "", "", " ", "."))


def _customers(file: Path) -> None:
    draws = Draws(106)
    rows: list[list[object]] = []
    for number, name in enumerate(customer_names(), start=1):
        city, country = draws.pick(_PLACES)
        since = date(2015, 1, 1) + timedelta(days=draws.below(3000))
        segment = draws.pick(("retail", "wholesale", "wholesale", "online", ""))
        rows.append([f"C{number:04}", _as_typed(name, draws), city, country, segment, since])
    _write_csv(file, "customer_id,name,city,country,segment,since", rows)


def _orders(file: Path) -> None:
    draws = Draws(107)
    known = [f"C{number:04}" for number in range(1, len(customer_names()) + 1)]
    silent = set(draws.some(known, 9))
    buyers = [customer for customer in known if customer not in silent]
    strangers = ("C0904", "C0911", "C0950")
    rows: list[list[object]] = []
    for number in range(900):
        customer = (
            draws.pick(strangers)
            if draws.chance(0.03)
            else buyers[min(draws.below(len(buyers)), draws.below(len(buyers)))]
        )
        day = date(2024, 1, 1) + timedelta(days=number * 364 // 900)
        amount = draws.between(20, 480) * (25 if draws.chance(0.015) else 1)
        shown = "" if draws.chance(0.02) else f"{amount:.2f}"
        status = draws.pick(("shipped",) * 8 + ("cancelled", "returned"))
        rows.append([f"O{10_001 + number}", customer, day, shown, 1 + draws.below(12), status])
    _write_csv(file, "order_id,customer_id,ordered,amount,items,status", rows)


def _invoices(file: Path) -> None:
    draws = Draws(108)
    names = customer_names()[:48]
    rows: list[list[object]] = []
    for number in range(420):
        name = names[min(draws.below(len(names)), draws.below(len(names)))]
        issued = date(2024, 1, 2) + timedelta(days=number * 300 // 420)
        paid = "" if draws.chance(0.12) else issued + timedelta(days=4 + draws.below(25) + draws.below(40))
        amount = f'"${draws.between(80, 9000):,.2f}"'
        rows.append([f"INV-{number + 1:04}", _as_typed(name, draws), amount, issued, paid])
    _write_csv(file, "invoice,customer,amount,issued,paid", rows)


MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DEPARTMENTS = ("Sales", "Marketing", "Operations", "IT", "HR", "Finance", "Research")


def _budget(file: Path) -> None:
    draws = Draws(109)
    planned: list[list[Cell]] = [["Department", *MONTHS]]
    spent: list[list[Cell]] = [["Date", "Department", "Category", "Amount"]]
    for department in _DEPARTMENTS:
        base = 1000 * (12 + draws.below(60))
        habit = draws.between(0.82, 1.17)
        planned.append([department, *(base + 500 * draws.below(7) for _ in MONTHS)])
        for month in range(1, 10):
            left = base * habit * draws.between(0.9, 1.1)
            for category, share in (("Staff", 0.6), ("Travel", 0.1), ("Software", 0.18), ("Other", 0.12)):
                spent.append([date(2024, month, 3 + draws.below(24)), department, category, round(left * share, 2)])
    spent[1:] = sorted(spent[1:], key=lambda row: str(row[0]))
    write_workbook(file, {"Budget": planned, "Actuals": spent})


def _events(file: Path) -> None:
    draws = Draws(110)
    records: list[tuple[datetime, str]] = []
    systems = {f"u{number:04}": draws.pick(("ios", "android", "android", "web")) for number in range(1, 321)}
    for user, system in systems.items():
        signed_up = draws.chance(0.25)
        for _ in range(1 + draws.below(6)):
            moment = datetime(2024, 9, 2, tzinfo=UTC) + timedelta(seconds=draws.below(13 * 86400))
            for _ in range(1 + draws.below(9)):
                kind = draws.pick(("page_view",) * 6 + ("search",) * 3 + ("add_to_cart", "error", "signup", "purchase"))
                if kind == "signup" and signed_up:
                    kind = "page_view"
                signed_up = signed_up or kind == "signup"
                record: dict[str, object] = {
                    "ts": f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z",
                    "user": user,
                    "event": kind,
                    "ms": int(40 + 60 * abs(draws.bell()) * (9 if draws.chance(0.04) else 1)),
                    "device": {"os": system, "app": draws.pick(("4.1", "4.2"))},
                }
                if kind == "purchase":
                    record["amount"] = round(draws.between(5, 160), 2)
                records.append((moment, json.dumps(record)))
                moment += timedelta(milliseconds=4000 + draws.below(400_000))
    file.write_text("".join(line + "\n" for _, line in sorted(records)), encoding="utf-8")


_MAKERS: dict[str, Callable[[Path], None]] = {
    "trades.csv": _trades,
    "daily_closes.csv": _prices,
    "bars_1m.csv": _bars,
    "ticks.parquet": _ticks,
    "buchungen_2024.csv": _ledger,
    "customers.csv": _customers,
    "orders.csv": _orders,
    "invoices.csv": _invoices,
    "budget.xlsx": _budget,
    "events.jsonl": _events,
}
NAMES = tuple(_MAKERS)
