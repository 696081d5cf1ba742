"""The questions of an analyst's day: their files are always the same, and the expected values can be computed in another way.

Each second computation reads the file with plain Python (or NumPy, for two million rows) and shares nothing with the first.
"""

from __future__ import annotations

import csv
import json
import math
import statistics
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from bench.exam import day_files, tables
from bench.exam.grading import Said, grade
from bench.exam.questions import Asked, Expected, Made, Number, Question, Refusal, Words
from bench.exam.workbook import read_sheet

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def expected(day_questions: dict[str, Question]) -> Callable[..., list[float]]:
    def values(name: str, turn: int = 0) -> list[float]:
        return [each.value for each in day_questions[name].turns[turn].expected if isinstance(each, Number)]

    return values


def rows(file: Path, *, delimiter: str = ",", encoding: str = "utf-8") -> list[dict[str, str]]:
    with file.open(encoding=encoding, newline="") as lines:
        return list(csv.DictReader(lines, delimiter=delimiter))


def test_the_files_are_the_same_each_time(day_folder: Path, tmp_path: Path) -> None:
    day_files.write(tmp_path)
    assert {file.name for file in day_folder.iterdir()} == set(day_files.NAMES)
    for name in day_files.NAMES:
        assert (tmp_path / name).read_bytes() == (day_folder / name).read_bytes(), name


def test_a_few_files_can_be_written_alone(day_folder: Path, tmp_path: Path) -> None:
    day_files.write(tmp_path, ["orders.csv"])
    assert [file.name for file in tmp_path.iterdir()] == ["orders.csv"]
    assert (tmp_path / "orders.csv").read_bytes() == (day_folder / "orders.csv").read_bytes()


def test_the_files_have_the_faults_that_are_asked_about(day_folder: Path) -> None:
    times = [row["time"] for row in rows(day_folder / "trades.csv")]
    assert times == sorted(set(times), reverse=True)
    with pytest.raises(UnicodeDecodeError):
        (day_folder / "buchungen_2024.csv").read_text(encoding="utf-8")
    names = [row["customer"] for row in rows(day_folder / "invoices.csv")]
    assert len(set(names)) > 2 * len({" ".join(name.lower().split()).rstrip(".") for name in names})
    closes = [row for row in rows(day_folder / "daily_closes.csv") if row["ticker"] == "NOVA"]
    falls = {after["date"]: float(after["close"]) / float(before["close"]) for before, after in pairwise(closes)}
    assert [day for day, ratio in falls.items() if ratio < 0.5] == [str(day_files.SPLIT_DAY)]
    assert pq.read_metadata(day_folder / "ticks.parquet").num_rows == day_files.TICKS


def test_there_are_enough_questions_of_each_kind(day_questions: dict[str, Question], day_folder: Path) -> None:
    assert len(day_questions) >= 40
    assert sum(len(question.turns) == 5 for question in day_questions.values()) >= 8
    kinds = [type(each) for question in day_questions.values() for turn in question.turns for each in turn.expected]
    assert all(kinds.count(kind) >= 7 for kind in (Number, Words, Refusal, Made))
    asked = {name for question in day_questions.values() for name in question.tables}
    assert asked == set(day_files.NAMES)
    assert all(turn.expected for question in day_questions.values() for turn in question.turns)


def test_no_text_asks_twice_the_same(day_questions: dict[str, Question]) -> None:
    first = [question.turns[0].text for question in day_questions.values()]
    assert len(set(first)) == len(first)


def test_fifo_costs_the_units_bought_first(day_folder: Path, expected: Callable[..., list[float]]) -> None:
    paid: dict[str, list[Decimal]] = defaultdict(list)
    sold: dict[str, int] = defaultdict(int)
    proceeds: dict[str, Decimal] = defaultdict(Decimal)
    fees: dict[str, Decimal] = defaultdict(Decimal)
    for row in reversed(rows(day_folder / "trades.csv")):
        quantity, price = int(row["quantity"]), Decimal(row["price"])
        fees[row["symbol"]] += Decimal(row["fee"])
        if row["side"] == "BUY":
            paid[row["symbol"]] += [price] * quantity
        else:
            sold[row["symbol"]] += quantity
            proceeds[row["symbol"]] += quantity * price
        assert sold[row["symbol"]] <= len(paid[row["symbol"]])
    gross = [proceeds[symbol] - sum(paid[symbol][: sold[symbol]]) for symbol in sorted(paid)]
    net = [value - fees[symbol] for value, symbol in zip(gross, sorted(paid), strict=True)]
    assert expected("pnl-fifo") == pytest.approx([float(value) for value in gross + net])
    assert expected("positions") == [len(paid[symbol]) - sold[symbol] for symbol in sorted(paid)]


def test_average_cost_moves_with_each_purchase_only(day_folder: Path, expected: Callable[..., list[float]]) -> None:
    held: dict[str, int] = defaultdict(int)
    average: dict[str, Fraction] = defaultdict(Fraction)
    gross, fees = Fraction(0), Fraction(0)
    for row in reversed(rows(day_folder / "trades.csv")):
        symbol, quantity, price = row["symbol"], int(row["quantity"]), Fraction(row["price"])
        fees += Fraction(row["fee"])
        if row["side"] == "BUY":
            held[symbol] += quantity
            average[symbol] += (price - average[symbol]) * quantity / held[symbol]
        else:
            held[symbol] -= quantity
            gross += quantity * (price - average[symbol])
    assert expected("pnl-average-cost") == pytest.approx([float(gross), float(gross - fees)])


def closes_of(folder: Path, ticker: str) -> dict[str, float]:
    found = rows(folder / "daily_closes.csv")
    return {row["date"]: float(row["close"]) for row in found if row["ticker"] == ticker and row["close"]}


def test_the_drawdown_is_the_worst_of_all_pairs_of_days(
    day_folder: Path, expected: Callable[..., list[float]], day_questions: dict[str, Question]
) -> None:
    closes = list(closes_of(day_folder, "HELI").items())
    pairs = ((1 - low / high, start, end) for at, (start, high) in enumerate(closes) for end, low in closes[at:])
    fall, start, end = max(pairs)
    assert expected("drawdown") == pytest.approx([100 * fall])
    days = [each.any_of for each in day_questions["drawdown"].turns[0].expected if isinstance(each, Words)]
    assert [start in days[0], end in days[1]] == [True, True]


def test_volatility_and_correlation_agree_with_numpy(day_folder: Path, expected: Callable[..., list[float]]) -> None:
    def volatility(closes: list[float]) -> float:
        return float(100 * np.diff(np.log(closes)).std(ddof=1) * np.sqrt(252))

    heli, orbx = closes_of(day_folder, "HELI"), closes_of(day_folder, "ORBX")
    kite = list(closes_of(day_folder, "KITE").values())
    assert expected("volatility") == pytest.approx([volatility(list(heli.values())), volatility(kite)])
    both = np.array([[heli[day], orbx[day]] for day in heli if day in orbx])
    returns = both[1:] / both[:-1] - 1
    rolling = [float(np.corrcoef(returns[at - 20 : at].T)[0, 1]) for at in range(20, len(returns) + 1)]
    assert expected("rolling-correlation") == pytest.approx([rolling[-1], min(rolling)])


def test_a_return_over_the_split_is_that_of_four_new_shares(
    day_folder: Path, expected: Callable[..., list[float]]
) -> None:
    closes = list(closes_of(day_folder, "NOVA").values())
    growth = 4 * closes[-1] / closes[0] - 1
    assert expected("split-adjusted")[0] == pytest.approx(100 * growth)


def test_daily_bars_agree_with_a_plain_loop(
    day_folder: Path, day_questions: dict[str, Question], tmp_path: Path
) -> None:
    days: dict[str, list[float]] = {}
    for row in rows(day_folder / "bars_1m.csv"):
        opened, high, low, close, volume = (float(row[name]) for name in ("open", "high", "low", "close", "volume"))
        bar = days.setdefault(row["timestamp"][:10], [opened, high, low, close, 0.0])
        bar[1:] = [max(bar[1], high), min(bar[2], low), close, bar[4] + volume]
    values = [each.value for each in day_questions["daily-bars"].turns[0].expected if isinstance(each, Number)]
    assert values == pytest.approx([len(days), *days[max(days)][:4]])
    lines = ["date,open,high,low,close,volume", *(",".join(map(str, [day, *bar])) for day, bar in days.items())]
    (tmp_path / "daily.csv").write_text("\n".join(lines))
    check = check_of(day_questions["daily-bars"], 0)
    assert check(tmp_path) is None


def test_ranges_beyond_the_fences_agree_with_statistics(day_folder: Path, expected: Callable[..., list[float]]) -> None:
    spans: dict[str, list[float]] = {}
    for row in rows(day_folder / "bars_1m.csv"):
        start = f"{row['timestamp'][:13]}:{int(row['timestamp'][14:16]) // 15}"
        high, low = spans.setdefault(start, [0.0, math.inf])
        spans[start] = [max(high, float(row["high"])), min(low, float(row["low"]))]
    ranges = [high - low for high, low in spans.values()]
    first, _, third = statistics.quantiles(ranges, n=4, method="inclusive")
    reach = 1.5 * (third - first)
    calm = [value for value in ranges if first - reach <= value <= third + reach]
    assert expected("range-chain", 0) == pytest.approx([len(ranges), statistics.fmean(ranges)])
    assert expected("range-chain", 1) == pytest.approx([len(ranges) - len(calm), statistics.fmean(calm)])


def test_vwap_of_the_ticks_agrees_in_whole_cents(day_folder: Path, expected: Callable[..., list[float]]) -> None:
    table = pq.read_table(day_folder / "ticks.parquet")
    symbols, sizes = np.array(table["symbol"].to_pylist()), table["size"].to_numpy().astype(np.int64)
    cents = np.rint(table["price"].to_numpy() * 100).astype(np.int64)
    vwaps = [
        int(np.dot(cents[at], sizes[at])) / int(sizes[at].sum()) / 100
        for symbol in sorted(set(symbols))
        for at in [symbols == symbol]
    ]
    assert expected("ticks-vwap") == pytest.approx(vwaps)


def test_the_ledger_agrees_to_the_cent(
    day_folder: Path, expected: Callable[..., list[float]], day_questions: dict[str, Question]
) -> None:
    def cents(text: str) -> int:
        return int(text.replace(".", "").replace(",", "") or 0)

    debit, credit = 0, 0
    slips: dict[str, int] = defaultdict(int)
    costs: dict[str, int] = defaultdict(int)
    for row in rows(day_folder / "buchungen_2024.csv", delimiter=";", encoding="cp1252"):
        debit, credit = debit + cents(row["Soll"]), credit + cents(row["Haben"])
        slips[row["Beleg"]] += cents(row["Soll"]) - cents(row["Haben"])
        if "6000" <= row["Konto"] <= "6999":
            costs[row["Kostenstelle"]] += cents(row["Soll"])
    assert expected("soll-haben") == pytest.approx([debit / 100, credit / 100, (debit - credit) / 100])
    wrong = {slip: value / 100 for slip, value in sorted(slips.items()) if value}
    assert expected("belege") == pytest.approx(list(wrong.values()))
    assert [each.any_of for each in day_questions["belege"].turns[0].expected if isinstance(each, Words)] == [
        (slip,) for slip in wrong
    ]
    assert expected("kostenstelle") == pytest.approx([costs[unit] / 100 for unit in sorted(costs)])


def test_joins_and_cleaned_names_agree_with_dictionaries(
    day_folder: Path, expected: Callable[..., list[float]]
) -> None:
    countries = {row["customer_id"]: row["country"] for row in rows(day_folder / "customers.csv")}
    revenue: dict[str, Decimal] = defaultdict(Decimal)
    lost: list[Decimal] = []
    for row in rows(day_folder / "orders.csv"):
        amount = Decimal(row["amount"] or 0)
        if row["customer_id"] not in countries:
            lost.append(amount)
        elif row["status"] == "shipped":
            revenue[countries[row["customer_id"]]] += amount
    assert expected("join-report") == pytest.approx([len(lost), float(sum(lost))])
    assert expected("revenue-by-country") == pytest.approx([float(revenue[country]) for country in sorted(revenue)])
    invoiced: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows(day_folder / "invoices.csv"):
        name = " ".join(row["customer"].strip().strip(".").split()).casefold()
        invoiced[name] += Decimal(row["amount"].replace("$", "").replace(",", ""))
    assert expected("top-customers") == pytest.approx(sorted(map(float, invoiced.values()), reverse=True)[:5])
    assert expected("how-many-customers")[0] == len(invoiced)


def test_spending_over_budget_agrees_with_the_cells(day_folder: Path, expected: Callable[..., list[float]]) -> None:
    _, *planned = read_sheet(day_folder / "budget.xlsx", "Budget")
    _, *spent = read_sheet(day_folder / "budget.xlsx", "Actuals")
    over = {
        department: sum(float(str(row[3])) for row in spent if row[1] == department)
        - sum(float(str(cell)) for cell in months[:9])
        for department, *months in planned
    }
    assert expected("budget-chain") == pytest.approx([over[name] for name in sorted(over, key=str)])
    assert expected("over-budget")[0] == pytest.approx(max(over.values()))


def test_sessions_and_latencies_agree_with_a_plain_loop(day_folder: Path, expected: Callable[..., list[float]]) -> None:
    last: dict[str, datetime] = {}
    sessions = 0
    waits: list[int] = []
    with (day_folder / "events.jsonl").open() as lines:
        events = [json.loads(line) for line in lines]
    for event in events:
        moment = datetime.fromisoformat(event["ts"])
        if event["user"] not in last or moment - last[event["user"]] > timedelta(minutes=30):
            sessions += 1
        last[event["user"]] = moment
        if event["event"] == "page_view":
            waits.append(event["ms"])
    assert expected("sessions") == pytest.approx([sessions, len(events) / sessions])
    percentiles = statistics.quantiles(waits, n=100, method="inclusive")
    assert expected("latency") == pytest.approx([statistics.median(waits), percentiles[94], max(waits)])


def check_of(question: Question, turn: int) -> Callable[[Path], str | None]:
    (check,) = (each.check for each in question.turns[turn].expected if isinstance(each, Made))
    return check


def test_no_public_table_has_the_name_of_a_file_of_the_day() -> None:
    assert not set(day_files.NAMES) & set(tables.TABLES)


def test_an_answer_that_states_what_is_expected_is_right_and_another_is_not(
    day_questions: dict[str, Question], tmp_path: Path
) -> None:
    for name, question in day_questions.items():
        for turn in question.turns:
            said = tuple(each for each in turn.expected if not isinstance(each, Made))
            if not said:
                continue
            asked = Asked(turn.text, said)
            assert grade(asked, Said(answer_to(said)), tmp_path).verdict == "right", (name, answer_to(said))
            assert grade(asked, Said(answer_to(said, off=1.3)), tmp_path).verdict != "right", (
                name,
                answer_to(said, off=1.3),
            )


def answer_to(expected: tuple[Expected, ...], off: float = 1.0) -> str:
    """Return an answer as a person would word it, with its numbers off by a factor."""
    parts: list[str] = []
    for each in expected:
        if isinstance(each, Number):
            parts.append(
                f"{each.name}: {each.value * off:,.{each.decimals}f}"
                if each.decimals is not None
                else f"{each.value * off:.5g}"
            )
        elif isinstance(each, Words):
            parts.append(each.any_of[-1] if off == 1 else "something else")
        else:
            parts.append("The data do not say." if off == 1 else f"It is {off}.")
    return "; ".join(parts)


def test_another_reader_sees_the_same_cells_in_the_workbook(day_folder: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.load_workbook(day_folder / "budget.xlsx")
    assert book.sheetnames == ["Budget", "Actuals"]
    for sheet in book:
        cells = [
            [cell.date() if isinstance(cell, datetime) else cell for cell in row]
            for row in sheet.iter_rows(values_only=True)
        ]
        assert cells == read_sheet(day_folder / "budget.xlsx", sheet.title)
