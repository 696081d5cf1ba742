"""Short programs, as a person writes them, make the requested files, and the day's checks accept these."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from bench.exam.questions import Made, Question
from matplotlib.figure import Figure

pytestmark = pytest.mark.slow


def sells_by_month(folder: Path, workspace: Path) -> None:
    df = pd.read_csv(folder / "trades.csv", parse_dates=["time"])
    df["value"] = df.quantity * df.price
    df[df.side == "SELL"].set_index("time")["value"].resample("ME").sum().to_csv(workspace / "sells_by_month.csv")


def rolling(folder: Path, workspace: Path) -> None:
    df = (
        pd.read_csv(folder / "daily_closes.csv")
        .pivot(index="date", columns="ticker", values="close")[["HELI", "ORBX"]]
        .dropna()
    )
    r = df.pct_change()
    r["HELI"].rolling(20).corr(r["ORBX"]).reset_index(name="corr").to_csv(workspace / "rolling.csv", index=False)


def monthly_returns(folder: Path, workspace: Path) -> None:
    df = pd.read_csv(folder / "daily_closes.csv", parse_dates=["date"]).pivot(
        index="date", columns="ticker", values="close"
    )
    last = df[["HELI", "ORBX"]].resample("ME").last().pct_change() * 100
    out = last.loc["2023"].round(2)
    out.rename_axis("month").reset_index().to_csv(workspace / "monthly_returns.csv", index=False, date_format="%Y-%m")


def synthetic(folder: Path, workspace: Path) -> None:
    df = pd.read_csv(folder / "bars_1m.csv", parse_dates=["timestamp"])
    r = df["close"].pct_change()
    steps = np.random.default_rng(0).normal(r.mean(), r.std(), 1000)
    times = pd.date_range(df.timestamp.iloc[-1], periods=1001, freq="min")[1:]
    out = pd.DataFrame({"timestamp": times, "close": df.close.iloc[-1] * np.cumprod(1 + steps)})
    out.to_csv(workspace / "synthetic.csv", index=False)


def real_and_synthetic(folder: Path, workspace: Path) -> None:
    df = pd.read_csv(folder / "bars_1m.csv", parse_dates=["timestamp"])
    figure = Figure(figsize=(12, 5))
    figure.subplots().plot(df["timestamp"], df["close"])
    figure.tight_layout()
    figure.savefig(workspace / "real_and_synthetic.png")


def holt_5m(folder: Path, workspace: Path) -> None:
    df = pd.read_parquet(folder / "ticks.parquet")
    df = df[df.symbol == "HOLT"].set_index("time")
    out = df.price.resample("5min").ohlc()
    out["volume"] = df["size"].resample("5min").sum()
    out.reset_index().to_csv(workspace / "holt_5m.csv", index=False)


def quartale(folder: Path, workspace: Path) -> None:
    df = pd.read_csv(
        folder / "buchungen_2024.csv",
        sep=";",
        decimal=",",
        thousands=".",
        encoding="cp1252",
        parse_dates=["Buchungsdatum"],
        dayfirst=True,
    )
    df = df[df.Konto.between(6000, 6999) & (df.Konto != 6300) & (df.Kostenstelle == 200)]
    out = (
        df.groupby("Q" + df.Buchungsdatum.dt.quarter.astype(str))["Soll"].sum().rename("Betrag").rename_axis("Quartal")
    )
    out.reset_index().to_csv(workspace / "quartale.csv", sep=";", decimal=",", index=False)


def never_ordered(folder: Path, workspace: Path) -> None:
    df, orders = pd.read_csv(folder / "customers.csv"), pd.read_csv(folder / "orders.csv")
    df[~df.customer_id.isin(orders.customer_id)].to_csv(workspace / "never_ordered.csv", index=False)


def shipped_by_month(folder: Path, workspace: Path) -> None:
    df = pd.read_csv(folder / "orders.csv", parse_dates=["ordered"])
    q1, q3 = df.amount.quantile([0.25, 0.75])
    df = df[df.amount.between(q1 - 1.5 * (q3 - q1), q3 + 1.5 * (q3 - q1)) & (df.status == "shipped")]
    df.groupby(df.ordered.dt.strftime("%B %Y"), sort=False).amount.sum().to_csv(workspace / "shipped_by_month.csv")


def revenue_by_day(folder: Path, workspace: Path) -> None:
    df = pd.read_json(folder / "events.jsonl", lines=True)
    df = df[df.event == "purchase"]
    out = df.groupby(pd.to_datetime(df.ts).dt.date)["amount"].sum().rename("revenue").rename_axis("day")
    out.round(2).to_csv(workspace / "revenue_by_day.csv")


SOLUTIONS: dict[str, tuple[str, int, Callable[[Path, Path], None]]] = {
    solve.__name__: (name, turn, solve)
    for name, turn, solve in (
        ("turnover-chain", 4, sells_by_month),
        ("rolling-correlation", 0, rolling),
        ("monthly-returns-chain", 4, monthly_returns),
        ("workflow-chain", 3, synthetic),
        ("workflow-chain", 4, real_and_synthetic),
        ("ticks-to-bars", 0, holt_5m),
        ("quartale-kette", 4, quartale),
        ("never-ordered", 0, never_ordered),
        ("orders-chain", 4, shipped_by_month),
        ("revenue-chain", 4, revenue_by_day),
    )
}


@pytest.mark.parametrize("solution", SOLUTIONS)
def test_the_file_that_a_short_program_makes_is_taken(
    solution: str, day_folder: Path, day_questions: dict[str, Question], tmp_path: Path
) -> None:
    name, turn, solve = SOLUTIONS[solution]
    solve(day_folder, tmp_path)
    (made,) = (each for each in day_questions[name].turns[turn].expected if isinstance(each, Made))
    assert made.check(tmp_path) is None
