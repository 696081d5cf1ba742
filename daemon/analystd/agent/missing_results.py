"""Programs that ran and printed only missing values, which is mostly a mistake of theirs and not in the data."""

from __future__ import annotations

import re

from analystd.agent.facts import without_deprecations

HINT = (
    "It printed missing values only, which is no result. Rows with different labels give NaN when they are added, subtracted or divided "
    "(reduce each part to one number first, or merge the tables), so does text in pd.to_numeric, and so do missing values in numpy, scipy "
    "and scikit-learn (drop them first)."
)
"""What helps with such a program."""

_MISSING = re.compile(r"(?:^|[\s:=(\[,])(?:nan|NaN|NaT|<NA>)[\s)\],%]*$")
_EMPTY = re.compile(r"^(?:Series\(\[\]|Empty DataFrame)")
_NUMBER = re.compile(r"\d[\s)\],%]*$")
_FOOTER = re.compile(r"^(?:Name|Length|Freq|Columns|Index|dtype)\b|\bdtype: \w+$|^\[\d+ rows x \d+ columns\]$")
"""What pandas prints below a Series or table."""


def has_only_missing_values(output: str) -> bool:
    """Return whether what a program printed holds values and all of them are missing.

    A line's value is what it ends with; lines that end with words say nothing for or against.
    """
    lines = [line.rstrip() for line in without_deprecations(output).splitlines()]
    values = [line for line in lines if not _FOOTER.search(line)]
    missing = [line for line in values if _MISSING.search(line) or _EMPTY.search(line)]
    return bool(missing) and not any(_NUMBER.search(line) for line in values if line not in missing)
