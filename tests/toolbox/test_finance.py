from __future__ import annotations

import itertools
import math
import pickle
import random
import statistics
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analystd import toolbox


def walk(seed: int, count: int = 300) -> list[float]:
    draw = random.Random(seed)
    prices = [100.0]
    for _ in range(count - 1):
        prices.append(prices[-1] * (1 + draw.gauss(0, 0.02)))
    return prices


def test_returns_agree_with_plain_python() -> None:
    prices = walk(1)
    simple = [later / earlier - 1 for earlier, later in itertools.pairwise(prices)]
    assert toolbox.returns(pd.Series(prices)).to_list() == pytest.approx(simple)
    logs = [math.log(later / earlier) for earlier, later in itertools.pairwise(prices)]
    assert toolbox.returns(pd.Series(prices), "log").to_list() == pytest.approx(logs)
    assert toolbox.returns(pd.Series([100.0, None, 121.0])).to_list() == pytest.approx([0.21])


@pytest.mark.parametrize("seed", range(5))
def test_the_deepest_fall_agrees_with_trying_all_pairs(seed: int) -> None:
    prices = walk(seed, 120)
    deepest = min(
        (prices[low] / prices[high] - 1, high, low) for high in range(len(prices)) for low in range(high, len(prices))
    )
    found = toolbox.max_drawdown(pd.Series(prices))
    assert found.depth == pytest.approx(deepest[0])
    assert (found.high_at, found.low_at) == deepest[1:]
    after = [place for place in range(found.low_at, len(prices)) if prices[place] >= prices[found.high_at]]
    assert found.recovered_at == (after[0] if after else None)


def test_prices_that_only_rise_have_no_drawdown() -> None:
    found = toolbox.max_drawdown(pd.Series([1.0, 2.0, 3.0]))
    assert (found.depth, found.recovered_at) == (0, None)


def test_a_drawdown_is_a_number_that_knows_its_dates() -> None:
    found = toolbox.max_drawdown(pd.Series([100.0, 75.0, 110.0], index=["mon", "tue", "wed"]))
    assert (found, found.depth, round(found * 100, 1), f"{found:.2f}") == (-0.25, -0.25, -25.0, "-0.25")
    assert str(found) == "-25.0000% from the high at mon to the low at tue, recovered at wed"
    again = pickle.loads(pickle.dumps(found))
    assert (again, again.low_at) == (found, "tue")


def test_volatility_and_sharpe_ratio_agree_with_the_statistics_module() -> None:
    changes = [later / earlier - 1 for earlier, later in itertools.pairwise(walk(2))]
    series = pd.Series(changes)
    assert toolbox.annualised_volatility(series) == pytest.approx(statistics.stdev(changes) * math.sqrt(252))
    assert toolbox.annualised_volatility(series, periods=12, ddof=0) == pytest.approx(
        statistics.pstdev(changes) * math.sqrt(12)
    )
    excess = [change - 0.03 / 252 for change in changes]
    wanted = statistics.fmean(excess) / statistics.stdev(excess) * math.sqrt(252)
    assert toolbox.sharpe_ratio(series, risk_free=0.03) == pytest.approx(wanted)


def test_rolling_correlation_agrees_with_the_statistics_module() -> None:
    first, second = walk(3, 60), walk(4, 60)
    got = toolbox.rolling_correlation(pd.Series(first), pd.Series(second), 20)
    assert got.isna().sum() == 19
    for end in range(20, 61):
        wanted = statistics.correlation(first[end - 20 : end], second[end - 20 : end])
        assert got.iloc[end - 1] == pytest.approx(wanted)


def test_bars_agree_with_plain_python() -> None:
    draw = random.Random(5)
    ticks = [
        (datetime(2024, 1, 1) + timedelta(seconds=draw.randrange(3 * 86_400)), draw.uniform(90, 110), draw.randrange(9))
        for _ in range(2000)
    ]
    frame = pd.DataFrame(ticks, columns=["time", "price", "Volume"])
    bars = toolbox.ohlcv(frame, "1h", time="time", price="price")
    ordered = sorted(ticks, key=lambda tick: tick[0])
    hours = sorted({tick[0].replace(minute=0, second=0) for tick in ticks})
    assert list(bars.index) == hours
    for hour in hours:
        inside = [tick for tick in ordered if hour <= tick[0] < hour + timedelta(hours=1)]
        prices = [price for _, price, _ in inside]
        wanted = [prices[0], max(prices), min(prices), prices[-1], sum(size for *_, size in inside)]
        assert list(bars.loc[hour].to_numpy()) == pytest.approx(wanted)
    days = toolbox.ohlcv(bars, "1D")
    assert days["volume"].sum() == sum(size for *_, size in ticks)
    assert days.iloc[0]["open"] == bars.iloc[0]["open"]
    assert days.iloc[-1]["close"] == bars.iloc[-1]["close"]


def test_bars_of_text_times_are_refused() -> None:
    with pytest.raises(TypeError, match="no timestamps"):
        toolbox.ohlcv(pd.DataFrame({"time": ["2024"], "price": [1]}), "1D", time="time", price="price")
    with pytest.raises(KeyError, match="high, low"):
        toolbox.ohlcv(pd.DataFrame({"open": [1], "close": [1]}, index=pd.to_datetime(["2024-01-01"])), "1D")


def test_vwap_agrees_with_plain_python() -> None:
    frame = pd.DataFrame({"s": ["a", "b", "a", "a"], "p": [1.0, 2.0, 3.0, None], "q": [10, 5, -30, 7]})
    assert toolbox.vwap(frame, price="p", volume="q") == pytest.approx((10 + 10 + 90) / 45)
    assert toolbox.vwap(frame, price="p", volume="q", by="s").to_dict() == pytest.approx({"a": 100 / 40, "b": 2.0})


def fifo_by_units(trades: list[tuple[int, int]]) -> tuple[Fraction, int]:
    """Each unit for itself: what is held is a list of single units with their prices."""
    held: list[tuple[int, Fraction]] = []
    realised = Fraction(0)
    for quantity, price in trades:
        direction = 1 if quantity > 0 else -1
        for _ in range(abs(quantity)):
            if held and held[0][0] == -direction:
                _, cost = held.pop(0)
                realised += -direction * (price - cost)
            else:
                held.append((direction, Fraction(price)))
    return realised, sum(direction for direction, _ in held)


def average_by_units(trades: list[tuple[int, int]]) -> tuple[Fraction, int]:
    position, cost, realised = 0, Fraction(0), Fraction(0)
    for quantity, price in trades:
        direction = 1 if quantity > 0 else -1
        for _ in range(abs(quantity)):
            if position * direction >= 0:
                cost = (cost * abs(position) + price) / (abs(position) + 1)
            else:
                realised += -direction * (price - cost)
            position += direction
    return realised, position


TRADES = st.lists(st.tuples(st.integers(-9, 9).filter(bool), st.integers(1, 50)), min_size=1, max_size=25)


@settings(deadline=None)
@given(TRADES)
@pytest.mark.parametrize(("method", "by_units"), [("fifo", fifo_by_units), ("average", average_by_units)])
def test_profit_and_loss_agrees_with_counting_single_units(
    method: Any, by_units: Any, trades: list[tuple[int, int]]
) -> None:
    realised, position = by_units(trades)
    table = toolbox.profit_and_loss(pd.DataFrame(trades, columns=["quantity", "price"]), method=method, symbol=None)
    assert table.loc["all", "realised"] == pytest.approx(float(realised))
    assert table.loc["all", "position"] == pytest.approx(position)


def test_profit_and_loss_by_symbol_with_sides_and_fees() -> None:
    trades = pd.DataFrame(
        {
            "time": pd.to_datetime(["2024-01-03", "2024-01-01", "2024-01-02", "2024-01-02"]),
            "symbol": ["X", "X", "X", "Y"],
            "side": ["SELL", "buy", "Buy", "buy"],
            "quantity": [15, 10, 10, 1],
            "price": [12.0, 10.0, 11.0, 100.0],
            "fee": [1.0, 0.5, None, 2.0],
        }
    )
    fifo = toolbox.profit_and_loss(trades, time="time")
    assert list(fifo.loc["X"].to_numpy()) == pytest.approx([10 * 2 + 5 * 1, 1.5, 23.5, 5, 55])
    assert list(fifo.loc["Y"].to_numpy()) == pytest.approx([0, 2, -2, 1, 100])
    assert fifo.loc["Total", "net"] == pytest.approx(21.5)
    average = toolbox.profit_and_loss(trades, method="average", time="time")
    assert average.loc["X", "realised"] == pytest.approx(15 * (12 - 10.5))


def test_sides_that_are_neither_are_named() -> None:
    trades = pd.DataFrame({"symbol": ["X"], "side": ["hold"], "quantity": [1], "price": [1.0]})
    with pytest.raises(ValueError, match="1 rows say 'hold'"):
        toolbox.profit_and_loss(trades)
