"""Definitions of the figures that a question asks for: sentences in `prompts/definitions.txt`, found by the question's words.

They matter where libraries differ (sample or population, corrected or not), and where a small model knows a method only in part. Their
code stands in backticks, with placeholders for columns; if a question names columns of the one table that it is about, these replace the
placeholders, since a small model copies what it sees.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analystd.agent.function_hints import holds_phrase, words_of
from analystd.agent.prompt import packaged_pairs
from analystd.agent.value_hints import Contents

MOST_DEFINITIONS = 3

_HEADING = "How it is computed:"
_CODE = re.compile(r"`[^`]+`")
_MOST_NAMES = 500
_SUM = '.agg("sum")'
_AGGREGATES = {
    "median": ("median",),
    "mean": ("mean", "average", "rate$", "rates$", "durchschnitt", "mittel", "quote"),
}
"""The words for aggregates of a group other than its sum."""
_WORD = re.compile(r"\w[\w-]*")
_SHORT = 3
"""Values of at most this length must stand in a question in the same case."""


@dataclass(frozen=True)
class NamedColumns:
    """The columns that a question names, by their role in a computation; None or empty if that is not certain."""

    value: str | None = None
    """The only numeric column."""
    group: str | None = None
    """The only other column."""
    day: str | None = None
    """The table's only date column."""
    explained: str | None = None
    """Of several numeric columns, the first one named, as `y` in a regression of y on x."""
    explaining: tuple[str, ...] = ()
    """The numeric columns named after it."""


def definitions(question: str, contents: Contents | None = None) -> str:
    """Return definitions of the figures that a question asks for; empty if it asks for none of them."""
    asked = words_of(question)
    columns = named_columns(question, contents) if contents is not None else NamedColumns()
    how = _aggregate(asked)
    told = [
        f"- {_CODE.sub(lambda code: _with_columns(code[0].replace(_SUM, how), columns), sentence)}"
        for phrases, sentence in packaged_pairs("definitions.txt")
        if any(holds_phrase(asked, phrase.strip()) for phrase in phrases.split(","))
    ]
    told = [*told[:MOST_DEFINITIONS], *(_by_value(question, contents, columns.value) if contents is not None else [])]
    return "\n".join([_HEADING, *told]) if told else ""


def named_columns(question: str, contents: Contents) -> NamedColumns:
    """Return the columns that a question names, if it is about one table."""
    if len(contents.columns) != 1:
        return NamedColumns()
    ((path, columns),) = contents.columns.items()
    numbers, dates = contents.numbers.get(path, ()), contents.dates.get(path, ())
    named = _in_order(question, list(columns)[:_MOST_NAMES])
    of_numbers = [name for name in named if name in numbers]
    others = [name for name in named if name not in numbers and name not in dates]
    return NamedColumns(
        value=of_numbers[0] if len(of_numbers) == 1 else None,
        group=others[0] if len(others) == 1 else None,
        day=next(iter(dates)) if len(dates) == 1 else None,
        explained=of_numbers[0] if len(of_numbers) > 1 else None,
        explaining=tuple(of_numbers[1:]),
    )


def _by_value(question: str, contents: Contents, value: str | None) -> list[str]:
    """Return a hint if a question names several values of one column, because it usually asks for a figure for each."""
    words = set(_WORD.findall(question))
    folded = {word.casefold() for word in words}
    for columns in contents.values.values():
        for name, values in columns.items():
            named = [each for each in values if (each in words if len(each) <= _SHORT else each.casefold() in folded)]
            if len([each for each in named if len(each) > 1]) > 1:
                group, figure = (json.dumps(each, ensure_ascii=False) for each in (name, value or "value"))
                return [
                    f"- A figure for each value of a column: `df.groupby({group})[{figure}]{_aggregate(words_of(question))}`."
                ]
    return []


def _aggregate(asked: Sequence[str]) -> str:
    """Return the code that aggregates the rows of a group, chosen by the words of a question."""
    for how, phrases in _AGGREGATES.items():
        if any(holds_phrase(asked, phrase) for phrase in phrases):
            return f'.agg("{how}")'
    return _SUM


def _in_order(question: str, columns: Sequence[str]) -> list[str]:
    """Return the columns whose names, or plurals of them, occur in a question as words, in the order of the question."""
    found: dict[str, int] = {}
    for name in columns:
        # A name of one letter counts as a word only in the same case.
        flags = re.IGNORECASE if len(name) > 1 else re.NOFLAG
        if name.strip() and (place := re.search(rf"(?<!\w){re.escape(name)}(?:s|es)?(?!\w)", question, flags)):
            found[name] = place.start()
    return sorted(found, key=lambda name: found[name])


def _with_columns(code: str, columns: NamedColumns) -> str:
    """Return code with the names of columns in place of their placeholders."""
    names: Mapping[str, str | None] = {
        "value": columns.value,
        "group": columns.group,
        "day": columns.day,
        "y": columns.explained,
        "x": columns.explaining[0] if len(columns.explaining) == 1 else columns.value,
    }
    if columns.explained is not None:
        code = code.replace(
            '[["y", "x"]]', f"[{json.dumps([columns.explained, *columns.explaining], ensure_ascii=False)}]"
        )
    if len(columns.explaining) > 1:
        code = code.replace('[["x"]]', f"[{json.dumps(list(columns.explaining), ensure_ascii=False)}]")
    for stand_in, name in names.items():
        if name is not None:
            code = code.replace(json.dumps(stand_in), json.dumps(name, ensure_ascii=False))
    if (name := columns.value or columns.group) is not None:
        column = f"df[{json.dumps(name, ensure_ascii=False)}]"
        code = re.sub(r"(?<![\w.])column(?!\w)", lambda _: column, code)
    return code
