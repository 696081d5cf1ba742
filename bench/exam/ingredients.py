"""Run a daemon whose agent lacks some of its ingredients, so that the effect of each can be measured.

The product itself cannot switch them off: names of the package are replaced here before its daemon starts.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from typing import Any

from analystd.cli import main as analystd
from analystd.desk.table_facts import Looked


async def _no_look(*_args: Any, **_more: Any) -> Looked:
    return Looked()


def _none(*_args: Any, **_more: Any) -> None:
    return None


def _nothing(*_args: Any, **_more: Any) -> list[Any]:
    return []


def _empty(*_args: Any, **_more: Any) -> str:
    return ""


def _same(code: str, *_args: Any) -> str:
    return code


def _no(*_args: Any, **_more: Any) -> bool:
    return False


Replacement = tuple[str, str, Callable[..., Any] | int]

INGREDIENTS: dict[str, tuple[Replacement, ...]] = {
    "facts": (("analystd.desk.table_facts", "TableFacts.look", _no_look),),
    "mending": (("analystd.agent.loop", "MAX_FAILURES", 1),),
    "column-hints": (
        ("analystd.agent.task", "unknown_columns", _nothing),
        ("analystd.agent.task", "impossible_filters", _nothing),
        ("analystd.agent.task", "hint_for_failure", _none),
    ),
    "error-hints": (("analystd.agent.task", "hint_for_error", _none),),
    "doubts": (
        ("analystd.agent.task", "has_only_missing_values", _no),
        ("analystd.agent.task", "is_share_for_percent", _no),
    ),
    "rewriting": (("analystd.agent.task", "put_right", _same),),
    "toolbox-hints": (("analystd.desk.tasks", "hints", _empty),),
    "definitions": (("analystd.desk.tasks", "definitions", _empty),),
    "number-check": (("analystd.agent.review", "unsupported_numbers", _nothing),),
    "programs": (("analystd.desk.desk", "can_program", _no),),
}
"""The removable ingredients, and the names that each consists of: without facts, nothing is known of files before the first program; without
mending, a failed program ends the run; without programs, the model is asked with examples of tool calls, as small ones are.
"""


def take_away(ingredient: str) -> None:
    """Replace the names of an ingredient.

    Raises:
        AttributeError: if a name no longer exists, so that nothing would be replaced.
    """
    for module, name, replacement in INGREDIENTS[ingredient]:
        owner: Any = importlib.import_module(module)
        *path, last = name.split(".")
        for part in path:
            owner = getattr(owner, part)
        getattr(owner, last)
        setattr(owner, last, replacement)


def serve(without: Sequence[str]) -> int:
    """Run the daemon in the foreground."""
    for ingredient in without:
        take_away(ingredient)
    return analystd(["serve"])


if __name__ == "__main__":
    raise SystemExit(serve(sys.argv[1:]))
