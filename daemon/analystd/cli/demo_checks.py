"""Check the answers of the demonstration against the files as the data worker reads them, and against the output of its workflow."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from analystd.client import Client
from analystd.wire.names import Command

SERIES_FILE = "synthetic_series.csv"
SERIES_ROWS = 1000
SERIES_START = 100
THRESHOLD = 101

_NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?")
_SAME = 1e-3
"""Relative difference below which two figures count as the same one, rounded."""
_NEAR_START = 5
_LEAST_DIFFERENT = SERIES_ROWS // 2
"""Minimum number of distinct prices: a random walk rarely returns to a price, and a constant series has one."""


@dataclass(frozen=True)
class Figures:
    """The statistics of the returns that the workflow printed."""

    mean: float
    deviation: float


def figures_in(text: str) -> Figures | None:
    """Return the figures that the workflow printed; None when it failed."""
    found = [float(each[1]) for each in re.finditer(r"(?:return|Volatility): (\S+)", text)]
    return Figures(*found) if len(found) == 2 else None


async def check_shape(client: Client, path: str, answer: str) -> str | None:
    """Return what is wrong with an answer on the rows and columns of a table, or None."""
    shape = await _view(client, path, "schema")
    rows = (await _view(client, path, "shape"))["num_rows"]
    missing = [each["name"] for each in shape["columns"] if each["name"] not in answer]
    if missing:
        return f"it does not name the columns {', '.join(missing)}"
    return _lacks(answer, [rows])


async def check_figures(figures: Figures | None, answer: str) -> str | None:
    """Return what is wrong with an answer on the mean and standard deviation of the returns, or None."""
    if figures is None:
        return "it cannot be checked, because the workflow failed"
    return _lacks(answer, [figures.mean, figures.deviation])


async def check_series(client: Client, answer: str) -> str | None:
    """Return what is wrong with the series that the model wrote or with its answer on it, or None."""
    schema = await _view(client, SERIES_FILE, "schema")
    names = [each["name"] for each in schema["columns"]]
    if names != ["timestamp", "close"]:
        return f"the columns of {SERIES_FILE} are {', '.join(names)}, not timestamp and close"
    rows = (await _view(client, SERIES_FILE, "shape"))["num_rows"]
    if rows != SERIES_ROWS:
        return f"{SERIES_FILE} has {rows} rows, not {SERIES_ROWS}"
    profile = (await _view(client, SERIES_FILE, "profile", columns=["close"], n_rows=1))["profiles"][0]
    if profile["distinct"] < _LEAST_DIFFERENT:
        return f"{SERIES_FILE} is not a random walk: its {rows} prices have {profile['distinct']} different values"
    first = (await _view(client, SERIES_FILE, "head", columns=["close"], n_rows=1))["rows"][0][0]
    if abs(float(first) - SERIES_START) > _NEAR_START:
        return f"the prices in {SERIES_FILE} begin at {first}, not at {SERIES_START}"
    return _lacks(answer, [rows])


async def check_count(client: Client, answer: str) -> str | None:
    """Return what is wrong with an answer on the number of prices above the threshold, or None."""
    above = [{"column": "close", "op": ">", "value": THRESHOLD}]
    return _lacks(answer, [(await _view(client, SERIES_FILE, "shape", filter=above))["num_rows"]])


async def _view(client: Client, path: str, operation: str, **more: Any) -> dict[str, Any]:
    return await client.command(Command.VIEW_DATA, path=path, operation=operation, **more)


def _lacks(answer: str, wanted: Sequence[float]) -> str | None:
    """Return the figures that an answer should state and does not, in words; None when it states them all."""
    stated = [float(each[0].replace(",", "")) for each in _NUMBER.finditer(answer)]
    missing = [value for value in wanted if not any(abs(each - value) <= abs(value) * _SAME for each in stated)]
    return f"it does not state {', '.join(f'{value:g}' for value in missing)}" if missing else None
