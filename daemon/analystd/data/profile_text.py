"""Profiles as text: aligned lines for each column, with a small histogram."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from analystd.data.table_text import cell_text
from analystd.wire.results import ColumnProfile, HistogramBins

_BARS = " ▁▂▃▄▅▆▇█"


def profile_text(profiles: Sequence[ColumnProfile]) -> str:
    """Return the profiles as text, with one paragraph for each column."""
    return "\n\n".join("\n".join(_lines(each)) for each in profiles)


def _lines(profile: ColumnProfile) -> list[str]:
    facts = [("values", profile["count"]), ("missing", profile["missing"])]
    if profile["strange"]:
        facts.append(("strange", profile["strange"]))
    lines = [f"{cell_text(profile['column'])} ({cell_text(profile['type'])})", _line(facts, profile)]
    if profile["min"] is not None:
        names = ("min", "max", "mean", "std")
        values = [profile["min"], profile["max"], profile["mean"], profile["std"]]
        lines.append(
            "  "
            + "  ".join(
                f"{name} {_short(value)}" for name, value in zip(names, values, strict=True) if value is not None
            )
        )
    if profile["histogram"]:
        lines.append(_histogram_line(profile["histogram"]))
    if profile["top"]:
        least = "" if profile["top_exact"] else "at least "
        lines.append(
            "  top " + ", ".join(f"{cell_text(each['value'])} ({least}{each['count']})" for each in profile["top"])
        )
    return lines


def _line(facts: Sequence[tuple[str, int]], profile: ColumnProfile) -> str:
    parts = [f"{name} {value}" for name, value in facts]
    if profile["distinct"] is not None:
        parts.append(f"distinct {'' if profile['distinct_exact'] else 'about '}{profile['distinct']}")
    return "  " + "  ".join(parts)


def _histogram_line(histogram: HistogramBins) -> str:
    counts, edges = histogram["counts"], histogram["edges"]
    return f"  {_short(edges[0])} ▕{_bars(counts)}▏ {_short(edges[-1])}"


def _bars(counts: Sequence[int]) -> str:
    most = max(counts)
    # A bin that is not empty is always visible.
    return "".join(_BARS[max(count > 0, round(count / most * (len(_BARS) - 1)))] for count in counts)


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else cell_text(value)
