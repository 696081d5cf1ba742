"""Joins that report unmatched rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

_EXAMPLES = 5


@dataclass(frozen=True)
class JoinReport:
    """The report of a join."""

    rows: int
    matched_left: int
    unmatched_left: int
    """The number of rows of the left table without a partner."""
    unmatched_right: int
    left_examples: tuple[Any, ...]
    right_examples: tuple[Any, ...]
    repeated_left: int
    """The number of keys that occur more than once on the left; if keys repeat on both sides, rows multiply."""
    repeated_right: int

    def __str__(self) -> str:
        lines = [f"{self.rows} rows; {self.matched_left} rows of the left table matched"]
        if self.unmatched_left:
            lines.append(f"{self.unmatched_left} of the left have no partner, such as {_listed(self.left_examples)}")
        if self.unmatched_right:
            lines.append(f"{self.unmatched_right} of the right have no partner, such as {_listed(self.right_examples)}")
        if self.repeated_left and self.repeated_right:
            lines.append(
                f"keys repeat on both sides ({self.repeated_left} and {self.repeated_right}), so rows multiplied"
            )
        return "\n".join(lines)


def join(
    left: pd.DataFrame,
    right: pd.DataFrame,
    on: str | Sequence[str],
    *,
    right_on: str | Sequence[str] | None = None,
    how: Literal["inner", "left", "right", "outer"] = "inner",
) -> pd.DataFrame:
    """Return two tables joined, and print what did not match; the report is also in `result.attrs["join_report"]`.

    A missing key matches nothing, unlike in `pandas.merge`.

    Args:
        left: The left table.
        right: The right table.
        on: The key column or columns of the left table, and of the right one unless `right_on` names its own.
        right_on: The key columns of the right table.
        how: Which rows without a partner are kept: none (`inner`), those of the `left`, of the `right`, or all (`outer`).

    Raises:
        KeyError: When a key column does not exist.
        TypeError: When keys are text on one side and numbers on the other, which would match nothing.
    """
    left_keys = [on] if isinstance(on, str) else list(on)
    right_keys = left_keys if right_on is None else [right_on] if isinstance(right_on, str) else list(right_on)
    for one, other in zip(left_keys, right_keys, strict=True):
        _require_alike(left[one], right[other])
    has_left, has_right = left[left_keys].notna().all(axis=1), right[right_keys].notna().all(axis=1)
    merged = left[has_left].merge(
        right[has_right], left_on=left_keys, right_on=right_keys, how=how, suffixes=("", "_right")
    )
    parts = [merged]
    if how in ("left", "outer") and not has_left.all():
        parts.append(left[~has_left])
    if how in ("right", "outer") and not has_right.all():
        parts.append(right[~has_right])
    result = pd.concat(parts, ignore_index=True) if len(parts) > 1 else merged
    report = _report(left, right, left_keys, right_keys, len(result))
    result.attrs["join_report"] = report
    print(report)
    return result


def _report(
    left: pd.DataFrame, right: pd.DataFrame, left_keys: list[str], right_keys: list[str], rows: int
) -> JoinReport:
    here, there = _keys(left, left_keys), _keys(right, right_keys)
    alone_left, alone_right = ~here.isin(set(there.dropna())), ~there.isin(set(here.dropna()))
    return JoinReport(
        rows=rows,
        matched_left=int((~alone_left).sum()),
        unmatched_left=int(alone_left.sum()),
        unmatched_right=int(alone_right.sum()),
        left_examples=tuple(here[alone_left].dropna().unique()[:_EXAMPLES]),
        right_examples=tuple(there[alone_right].dropna().unique()[:_EXAMPLES]),
        repeated_left=int(here.dropna().duplicated(keep=False).sum() and here.dropna().value_counts().gt(1).sum()),
        repeated_right=int(there.dropna().duplicated(keep=False).sum() and there.dropna().value_counts().gt(1).sum()),
    )


def _keys(frame: pd.DataFrame, names: list[str]) -> pd.Series:
    """Return the keys of each row as one value, missing if one of them is."""
    if len(names) == 1:
        return frame[names[0]]
    whole = frame[names].notna().all(axis=1)
    keys = pd.Series(list(frame[names].itertuples(index=False, name=None)), index=frame.index, dtype=object)
    return keys.where(whole)


def _require_alike(one: pd.Series, other: pd.Series) -> None:
    kinds = [pd.api.types.is_numeric_dtype(each) for each in (one, other)]
    texts = [pd.api.types.is_string_dtype(each) for each in (one, other)]
    if (kinds[0] and texts[1]) or (texts[0] and kinds[1]):
        raise TypeError(
            f"The key {one.name!r} holds {one.dtype} on the left and {other.name!r} holds {other.dtype} on the right; "
            "convert one of them first"
        )


def _listed(examples: tuple[Any, ...]) -> str:
    return ", ".join(repr(example.item() if hasattr(example, "item") else example) for example in examples)
