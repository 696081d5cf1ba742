"""Cleaning of columns: numbers and dates out of text, column names, spellings, duplicates."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Hashable, Sequence
from typing import Literal

import numpy as np
import pandas as pd

MISSING_MARKS = frozenset({"", "-", "--", "—", ".", "?", "na", "n/a", "#n/a", "nan", "null", "none", r"\n", "missing"})
"""Spellings of missing values, in lower case."""

_CURRENCY = re.compile(r"(?:[$€£¥₹₽₩₿]|\b(?:usd|eur|gbp|chf|jpy|cad|aud|inr|cny)\b)", re.IGNORECASE)
_SPACES = re.compile(r"[\s\u00a0\u2009\u202f']+")
_WHITESPACE = re.compile(r"\s+")
_PLAIN_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?", re.IGNORECASE)
_GROUPED = {
    ",": re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d*)?"),
    ".": re.compile(r"[+-]?\d{1,3}(?:\.\d{3})+(?:,\d*)?"),
}
_EXAMPLES = 5

OnError = Literal["raise", "missing"]


def numbers(values: pd.Series, *, decimal: Literal[".", ","] | None = None, on_error: OnError = "raise") -> pd.Series:
    """Return a column of text as floating-point numbers.

    The function understands thousands separators, a decimal comma, currency signs and codes, a percent sign (`12 %` is 0.12),
    parentheses or a trailing minus for negative numbers, a true minus sign, and spaces. Cells of `MISSING_MARKS` become NaN. Numeric
    columns are returned unchanged.

    Args:
        values: The column.
        decimal: The decimal sign; by default it is detected from the whole column, because `1,234` alone is ambiguous.
        on_error: The treatment of a cell that is not a number: `raise` an error, or make it `missing`.

    Raises:
        ValueError: When cells are not numbers, with their count and examples; also when the column does not determine the decimal sign.
    """
    if pd.api.types.is_bool_dtype(values) or pd.api.types.is_numeric_dtype(values):
        return values
    text = values.astype("string").str.strip()
    is_missing = text.isna() | text.str.casefold().isin(MISSING_MARKS)
    if decimal != "," and text[~is_missing].str.fullmatch(_PLAIN_NUMBER).all():
        # Numbers that Python parses itself need no parsing cell by cell.
        plain = text.where(~is_missing, "nan").to_numpy(dtype=object).astype("float64")
        return pd.Series(plain, index=values.index, name=values.name)
    cells = text[~is_missing].map(_bare)
    decimal = decimal or _decimal_sign(cells.to_list())
    parsed = cells.map(lambda cell: _parse(cell, decimal)).astype("float64")
    wrong = text[parsed.index[parsed.isna()]]
    if len(wrong) and on_error == "raise":
        raise ValueError(_complaint(values.name, wrong, len(cells), "numbers"))
    result = pd.Series(np.nan, index=values.index, name=values.name, dtype="float64")
    result.loc[parsed.index] = parsed
    return result


def dates(values: pd.Series, *, dayfirst: bool | None = None, on_error: OnError = "raise") -> pd.Series:
    """Return a column of text as timestamps.

    Args:
        values: The column; timestamps and dates are returned unchanged.
        dayfirst: Whether `03/04/2024` is the 3rd of April; by default it is detected from unambiguous cells.
        on_error: The treatment of a cell that is not a date: `raise` an error, or make it `missing`.

    Raises:
        ValueError: When cells are not dates, with their count and examples; also when no cell determines the order of day and month.
    """
    if pd.api.types.is_datetime64_any_dtype(values):
        return values
    text = values.astype("string").str.strip()
    cells = text[~(text.isna() | text.str.casefold().isin(MISSING_MARKS))]
    if dayfirst is None:
        dayfirst = _day_comes_first(cells)
    aware = cells.str.contains(r"(?:Z|[+-]\d{2}:?\d{2})$", regex=True).any()
    # Dates in the order of ISO 8601 are unambiguous, and are parsed many times as fast.
    form = "ISO8601" if cells.str.match(r"\d{4}-\d{2}-\d{2}(?:[T ]|$)").all() else "mixed"
    parsed = pd.to_datetime(cells, format=form, dayfirst=form == "mixed" and dayfirst, errors="coerce", utc=bool(aware))
    wrong = cells[parsed.isna()]
    if len(wrong) and on_error == "raise":
        raise ValueError(_complaint(values.name, wrong, len(cells), "dates"))
    result: pd.Series = parsed.reindex(values.index)
    result.name = values.name
    return result


def clean_names(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the table with column names in snake case, each once: `Net Amount (€)` becomes `net_amount`."""
    taken: set[str] = set()
    names = []
    for position, column in enumerate(frame.columns):
        plain = unicodedata.normalize("NFKD", str(column)).encode("ascii", "ignore").decode()
        plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", plain)
        base = re.sub(r"[^a-z0-9]+", "_", plain.lower()).strip("_") or f"column_{position + 1}"
        name, number = base, 2
        while name in taken:
            name, number = f"{base}_{number}", number + 1
        taken.add(name)
        names.append(name)
    return frame.set_axis(names, axis="columns")


def unify_names(values: pd.Series) -> pd.Series:
    """Return a column of names in which spellings that differ only in case, accents, punctuation or spaces are one.

    The most frequent spelling of each name is kept; of equally frequent ones, the first. `ACME  Ltd.` and `Acme Ltd` are one name,
    `Acme` and `Acme Ltd` are two.
    """
    text = values.astype("string").str.replace(_WHITESPACE, " ", regex=True).str.strip()
    keys = text.map(_name_key, na_action="ignore")
    order = pd.DataFrame({"key": keys, "text": text}).dropna()
    counts = order.groupby(["key", "text"], sort=False).size().reset_index(name="count")
    best = counts.sort_values("count", ascending=False, kind="stable").drop_duplicates("key").set_index("key")["text"]
    unified: pd.Series = keys.map(best)
    unified.name = values.name
    return unified


def drop_duplicates(
    frame: pd.DataFrame, by: str | Sequence[Hashable] | None = None, *, keep: Literal["first", "last"] = "first"
) -> pd.DataFrame:
    """Return the table without repeated rows, and print how many were dropped.

    Args:
        frame: The table.
        by: The columns that identify duplicates; by default all.
        keep: Which of the duplicate rows is kept.
    """
    subset = [by] if isinstance(by, str) else None if by is None else list(by)
    result = frame.drop_duplicates(subset=subset, keep=keep)
    print(f"{len(frame) - len(result)} of {len(frame)} rows were duplicates and are dropped; {len(result)} are left")
    return result


def _name_key(name: str) -> str:
    folded = unicodedata.normalize("NFKD", name.casefold())
    return "".join(character for character in folded if character.isalnum())


def _bare(cell: str) -> str:
    """Return the cell without currency, spaces and other decoration, with the sign first and a percent sign last."""
    bare = _SPACES.sub("", _CURRENCY.sub("", cell)).replace("\N{MINUS SIGN}", "-")
    negative = bare.startswith("(") and bare.endswith(")")
    if negative:
        bare = bare[1:-1]
    if bare.endswith("-") and len(bare) > 1:
        negative, bare = True, bare[:-1]
    if not negative:
        return bare
    return f"-{bare}" if not bare.startswith(("-", "+")) else "?"


def _decimal_sign(cells: Sequence[str]) -> Literal[".", ","]:
    """Return the decimal sign that the cells agree on.

    A sign that occurs once and not before exactly three digits is the decimal sign, and so is the last one if a cell contains both. A
    sign that occurs twice in a cell separates thousands.

    Raises:
        ValueError: when the cells disagree, or when all of them are like `1,234`.
    """
    votes: dict[str, str] = {}
    ambiguous: str | None = None
    for cell in cells:
        digits = cell.rstrip("%").lstrip("+-")
        comma, point = digits.count(","), digits.count(".")
        if comma and point:
            votes.setdefault("," if digits.rfind(",") > digits.rfind(".") else ".", cell)
        elif comma > 1 or point > 1:
            votes.setdefault("." if comma else ",", cell)
        elif comma and not re.fullmatch(r"[1-9]\d{0,2},\d{3}", digits):
            votes.setdefault(",", cell)
        elif point and not re.fullmatch(r"[1-9]\d{0,2}\.\d{3}", digits):
            votes.setdefault(".", cell)
        elif comma:
            ambiguous = ambiguous or cell
    if len(votes) > 1:
        raise ValueError(
            f"The decimal sign is not the same everywhere: {votes['.']!r} and {votes[',']!r}; "
            "choose it with decimal='.' or decimal=','"
        )
    if votes:
        return "," if "," in votes else "."
    if ambiguous is not None:
        raise ValueError(
            f"Whether the comma in {ambiguous!r} is a decimal sign or separates thousands cannot be told from this "
            "column; choose with decimal='.' or decimal=','"
        )
    return "."


def _parse(cell: str, decimal: str) -> float:
    """Return the number in a bare cell; NaN if it is not a number."""
    percent = cell.endswith("%")
    digits = cell.removesuffix("%")
    separator = "," if decimal == "." else "."
    if separator in digits:
        if not _GROUPED[separator].fullmatch(digits):
            return np.nan
        digits = digits.replace(separator, "")
    digits = digits.replace(decimal, ".")
    if not _PLAIN_NUMBER.fullmatch(digits):
        return np.nan
    return float(digits) / 100 if percent else float(digits)


def _day_comes_first(cells: pd.Series) -> bool:
    parts = cells.str.extract(r"^(\d{1,2})[./-](\d{1,2})[./-]\d{2,4}", expand=True).dropna().astype(int)
    if parts.empty:
        return False
    first, second = bool((parts[0] > 12).any()), bool((parts[1] > 12).any())
    if first and second:
        raise ValueError("Days stand before and after months in this column; clean it, or parse the parts one by one")
    if not first and not second:
        # Countries that separate the parts with points write the day first.
        if cells.str.match(r"^\d{1,2}\.\d{1,2}\.").any():
            return True
        raise ValueError(
            f"Whether the day or the month comes first in {cells.iloc[0]!r} cannot be told from this column; "
            "choose with dayfirst=True or dayfirst=False"
        )
    return first


def _complaint(name: Hashable, wrong: pd.Series, count: int, what: str) -> str:
    examples = ", ".join(repr(cell) for cell in wrong.drop_duplicates().head(_EXAMPLES))
    return (
        f"{len(wrong)} of {count} cells of {name!r} are no {what}: {examples}. "
        "Clean them first, or pass on_error='missing'"
    )
