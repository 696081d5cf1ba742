"""Detect results that are usually mistakes: only missing values, or a share where percent is asked for."""

from __future__ import annotations

import re

from analystd.agent.facts import without_deprecations

MISSING = (
    "It printed missing values only, which is no result. Rows with different labels give NaN when they are added, subtracted or divided "
    "(reduce each part to one number first, or merge the tables), so does text in pd.to_numeric, and so do missing values in numpy, scipy "
    "and scikit-learn (drop them first)."
)
"""The hint for a program that printed only missing values."""

SHARE = "It printed a share, and the question asks for percent: multiply by 100."
"""The hint for a program that printed a share instead of percent."""

_MISSING = re.compile(r"(?:^|[\s:=(\[,])(?:nan|NaN|NaT|<NA>)[\s)\],%]*$")
_EMPTY = re.compile(r"^(?:Series\(\[\]|Empty DataFrame)")
_NUMBER = re.compile(r"\d[\s)\],%]*$")
_PERCENT = re.compile(r"%|\bpercent(?:age)?s?\b|\bprozent", re.IGNORECASE)
_GIVEN_PERCENT = re.compile(r"\d\s?-?(?:%|percent\b|prozent)", re.IGNORECASE)
"""A percentage that is a level, a bound or a part to cut off, and not the result asked for."""
_HUNDRED = re.compile(r"\b100(?:\.0*)?\b|\b1e2\b")
_LAST_NUMBER = re.compile(r"[-+]?\d*\.?\d+(?:e[-+]?\d+)?(?=[\s)\]]*$)")
_FOOTER = re.compile(r"^(?:Name|Length|Freq|Columns|Index|dtype)\b|\bdtype: \w+$|^\[\d+ rows x \d+ columns\]$")
"""The lines that pandas prints below a Series or table."""


def has_only_missing_values(output: str) -> bool:
    """Return whether the output of a program contains values, all of which are missing.

    The value of a line is at its end; lines that end with words do not count.
    """
    lines = [line.rstrip() for line in without_deprecations(output).splitlines()]
    values = [line for line in lines if not _FOOTER.search(line)]
    missing = [line for line in values if _MISSING.search(line) or _EMPTY.search(line)]
    return bool(missing) and not any(_NUMBER.search(line) for line in values if line not in missing)


def is_share_for_percent(question: str, code: str, output: str) -> bool:
    """Return whether a question asks for percent and a program printed only numbers between -1 and 1, without multiplying by 100."""
    if not _PERCENT.search(_GIVEN_PERCENT.sub("", question)) or _HUNDRED.search(code) or "%" in code or "%" in output:
        return False
    numbers = [found[0] for line in output.splitlines() if (found := _LAST_NUMBER.search(line.rstrip()))]
    return bool(numbers) and all("." in number and 0 < abs(float(number)) <= 1 for number in numbers)
