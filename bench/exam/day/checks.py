"""Check the files that a run had to make."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from bench.exam.questions import Made
from PIL import Image, UnidentifiedImageError

LARGEST = 64 * 1024 * 1024
"""Maximum size of a file in bytes; no requested file needs more."""
MOST_PIXELS = 30_000_000
_TOTALS = {"total", "totals", "sum", "all", "gesamt", "summe"}

Check = Callable[[Path], str | None]


def table(
    name: str,
    columns: Mapping[str, Sequence[float]],
    *,
    within: float = 0.006,
    delimiter: str = ",",
    decimal: str = ".",
) -> Made:
    """Expect a table in which columns with these names hold these values in this order; empty rows and a row of totals are allowed.

    A name that starts with `*` is free: any column may hold the values. They may differ by `within` and by a 2,000th part of the value.
    """

    def check(workspace: Path) -> str | None:
        frame = _read(workspace / name, delimiter, decimal)
        if isinstance(frame, str):
            return frame
        for column, expected in columns.items():
            matching = [
                at
                for at, title in enumerate(frame.columns)
                if column.startswith("*") or str(title).strip().lower() == column.lower()
            ]
            if not matching:
                return f"{name} has no column {column!r}, only {', '.join(map(str, frame.columns))[:200]}"
            if not any(_alike(frame.iloc[:, at], expected, within) for at in matching):
                return f"{name}: {column.lstrip('*')} does not hold the {len(expected)} values expected ({len(frame)} rows)"
        return None

    return Made(check)


def labelled(name: str, values: Mapping[str, Sequence[float]], *, within: float = 0.006) -> Made:
    """Expect a table with exactly one row for each of these labels, which holds these values in any columns."""

    def check(workspace: Path) -> str | None:
        frame = _read(workspace / name, ",", ".")
        if isinstance(frame, str):
            return frame
        if len(frame) != len(values):
            return f"{name} has {len(frame)} rows instead of {len(values)}"
        for label, expected in values.items():
            rows = [
                row
                for row in frame.itertuples(index=False)
                if label.lower() in {str(cell).strip().lower() for cell in row}
            ]
            if len(rows) != 1:
                return f"{name} has {len(rows)} rows for {label!r}"
            cells = pd.to_numeric(pd.Series(list(rows[0]), dtype=object), errors="coerce").to_numpy(dtype=float)
            for value in expected:
                if not np.isclose(cells, value, rtol=5e-4, atol=within).any():
                    return f"{name}: the row of {label!r} does not hold {value:.6g}"
        return None

    return Made(check)


def picture(name: str) -> Made:
    """Expect a picture in which something is drawn between the axes."""

    def check(workspace: Path) -> str | None:
        wrong = _unfit(workspace / name)
        if wrong is not None:
            return wrong
        try:
            with Image.open(workspace / name) as opened:
                width, height = opened.size
                if not (width >= 100 and height >= 100 and width * height <= MOST_PIXELS):
                    return f"{name} has {width} x {height} pixels"
                pixels = np.asarray(opened.convert("RGB")).astype(np.int32)
        except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
            return f"{name} is no picture that can be opened: {error}"[:200]
        middle = pixels[height * 15 // 100 : height * 85 // 100, width * 16 // 100 : width * 86 // 100].reshape(-1, 3)
        shades, counts = np.unique(middle @ np.array([65536, 256, 1], dtype=np.int32), return_counts=True)
        usual = int(shades[counts.argmax()])
        background = np.array([usual >> 16, usual >> 8 & 255, usual & 255])
        drawn = float((np.abs(middle - background).max(axis=1) > 40).mean())
        return None if drawn > 0.001 else f"{name} shows nothing between its axes"

    return Made(check)


def random_walk(name: str, *, rows: int, start: float, mean: float, deviation: float) -> Made:
    """Expect a series of closes whose simple returns have about this mean and deviation, with distinct times."""

    def check(workspace: Path) -> str | None:
        frame = _read(workspace / name, ",", ".")
        if isinstance(frame, str):
            return frame
        missing = {"timestamp", "close"} - set(frame.columns)
        if missing:
            return f"{name} has no column {' or '.join(sorted(missing))}"
        if len(frame) != rows:
            return f"{name} has {len(frame)} rows instead of {rows}"
        times = pd.to_datetime(frame["timestamp"].astype(str), errors="coerce", format="mixed")
        if times.isna().any() or not times.is_monotonic_increasing or not times.is_unique:
            return f"{name}: the timestamps do not go up one by one"
        closes = pd.to_numeric(frame["close"], errors="coerce").to_numpy(dtype=float)
        if not (closes > 0).all():
            return f"{name}: not every close is a positive number"
        if abs(closes[0] / start - 1) > 6 * deviation + abs(mean):
            return f"{name} starts at {closes[0]:.6g}, far from {start:.6g}"
        returns = closes[1:] / closes[:-1] - 1
        if not 0.85 < returns.std() / deviation < 1.15 or abs(returns.mean() - mean) > 5 * deviation / np.sqrt(rows):
            return f"{name}: mean {returns.mean():.3g} and deviation {returns.std():.3g} of its returns are not those asked for"
        return None

    return Made(check)


def _unfit(file: Path) -> str | None:
    if not file.is_file():
        return f"{file.name} was not made"
    size = file.stat().st_size
    return None if 0 < size <= LARGEST else f"{file.name} has {size} bytes"


def _read(file: Path, delimiter: str, decimal: str) -> pd.DataFrame | str:
    """Return the table without a row of totals, or a description of the problem."""
    wrong = _unfit(file)
    if wrong is not None:
        return wrong
    try:
        frame = (
            pd.read_parquet(file) if file.suffix == ".parquet" else pd.read_csv(file, sep=delimiter, decimal=decimal)
        )
    except (
        ValueError,
        OSError,
    ) as error:  # pandas and Arrow raise a ValueError or an OSError for invalid files
        return f"{file.name} cannot be read as a table: {error}"[:200]
    texts = (
        frame.select_dtypes(exclude="number")
        .astype(str)
        .apply(lambda column: column.str.strip().str.lower().isin(_TOTALS))
    )
    return frame[~texts.any(axis=1)] if texts.shape[1] else frame


def _alike(column: pd.Series, expected: Sequence[float], within: float) -> bool:
    if not pd.api.types.is_numeric_dtype(column):
        return False
    values = column.dropna().to_numpy(dtype=float)
    return len(values) == len(expected) and bool(
        np.isclose(values, np.asarray(expected, dtype=float), rtol=5e-4, atol=within).all()
    )
