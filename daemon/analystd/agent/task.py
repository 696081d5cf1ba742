"""The task of an agent: a question with its context and limits, and the checks on the programs of a model."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from analystd.agent import doubtful_results
from analystd.agent.call_syntaxes import PROGRAM_TOOL
from analystd.agent.column_hints import Columns, hint_for_failure, hint_for_unknown, missing_columns, unknown_columns
from analystd.agent.doubtful_results import has_only_missing_values, is_share_for_percent
from analystd.agent.error_hints import hint_for_error
from analystd.agent.facts import traceback_tail
from analystd.agent.function_hints import hint_for_failure as hint_for_functions
from analystd.agent.programs import is_said_of_files, says_only_itself
from analystd.agent.review import Reviewer
from analystd.agent.rewriting import KnownTables, put_right
from analystd.agent.rewriting.missing_as_text import WORDS
from analystd.agent.toolcalls import ToolCall
from analystd.agent.turns import Turn
from analystd.agent.value_hints import (
    Contents,
    columns_for,
    hint_for_filters,
    hint_for_unused_values,
    hint_for_values_as_columns,
    impossible_filters,
    unused_values,
    values_as_columns,
)
from analystd.engine.base import Message, ToolSpec
from analystd.wire.results import Step

_MOST_OBJECTIONS = 2
_SAYS_ITSELF = "It prints only what is written in it. Compute the values from the data."


@dataclass(frozen=True)
class Limits:
    """The limits of a run."""

    max_steps: int
    max_seconds: float


@dataclass(frozen=True)
class Task:
    """A task: `opening` is the system message with any examples, `earlier` the turns before the question.

    If there are `first_tools`, the first reply must call one of them.
    """

    conversation: str
    opening: tuple[Message, ...]
    question: str
    limits: Limits
    earlier: tuple[Turn, ...] = ()
    first_tools: tuple[ToolSpec, ...] = ()
    narrow: Callable[[tuple[ToolSpec, ...]], Awaitable[tuple[ToolSpec, ...]]] | None = None
    """Returns the offered tools with schemas that restrict the next reply to existing names."""
    programs: Programs | None = None
    """For a model that can program: the checks on its programs and answers."""


@dataclass(frozen=True)
class Programs:
    """The checks on the programs and answers of a model that can program."""

    reviewer: Reviewer
    looked: tuple[Step, ...] = ()
    """The steps in which the agent looked at the files by itself."""
    columns: Columns = field(default_factory=dict)
    """The columns of the tables that it saw."""
    contents: Contents = field(default_factory=Contents)
    """The contents of their cells, as far as it saw them."""
    odd_files: Collection[str] = ()
    """The files that must be read by the toolbox."""
    _told: list[str] = field(default_factory=list)
    _doubted: list[str] = field(default_factory=list)

    def objection(self, call: ToolCall) -> str | None:
        """Return why a program is not run; None if it is.

        The reason is that it only prints what is written in it, names columns or filters for values that do not exist, or ignores values that
        the question names. There are at most two objections in a run, since the look at the files may err, and the program may be intended.
        """
        code = call.arguments.get("code")
        if not isinstance(code, str) or len(self._told) >= _MOST_OBJECTIONS:
            return None
        hints = [_SAYS_ITSELF] if self._is_made_up(code) else []
        if names := unknown_columns(code, self.columns):
            hints.append(hint_for_unknown(names, self.columns))
        if filters := impossible_filters(code, self.contents):
            hints.append(hint_for_filters(filters, self.contents))
        if not self._told and not hints and (unused := unused_values(self.reviewer.asked, code, self.contents)):
            hints.append(hint_for_unused_values(unused))
        if not hints:
            return None
        self._told.append(" ".join(hints))
        return f"The program was not run. {self._told[-1]}"

    def _is_made_up(self, code: str) -> bool:
        return says_only_itself(code) and not is_said_of_files(code, [step["output"] for step in self.looked])

    def completed(self, call: ToolCall) -> ToolCall:
        """Return the call with its program corrected, as far as the correction is unambiguous."""
        code = call.arguments.get("code")
        if not isinstance(code, str) or (whole := self._put_right(code)) == code:
            return call
        return replace(call, arguments={**call.arguments, "code": whole})

    def _doubt(self, step: Step) -> str | None:
        if has_only_missing_values(step["output"]):
            return doubtful_results.MISSING
        code = str(step["arguments"].get("code", ""))
        is_share = step["tool"] == PROGRAM_TOOL and is_share_for_percent(self.reviewer.asked, code, step["output"])
        return doubtful_results.SHARE if is_share else None

    def _put_right(self, code: str) -> str:
        known = self.contents
        # A hint has named the column already; a program that uses the wrong one again means that value.
        moved = columns_for(impossible_filters(code, known), known) if self._told else {}
        tables = KnownTables(
            self.odd_files, known.in_all(known.numbers), known.in_all(known.dates), moved, known.without(WORDS)
        )
        return put_right(code, tables)

    def lacking(self, step: Step) -> str | None:
        """Return a sentence for people on what a program looked for and the data lacks; None if it failed for another reason."""
        tables = [name for names in self.columns.values() for name in names]
        # A number is the label of a row, not a missing column.
        wanted = [name for name in missing_columns(step["output"]) if not name.lstrip("-").isdigit()]
        if names := [name for name in wanted if name not in tables] if tables else []:
            return hint_for_unknown(names[-1:], self.columns)
        if filters := impossible_filters(str(step["arguments"].get("code", "")), self.contents):
            return hint_for_filters(filters, self.contents)
        return None

    def hint(self, step: Step) -> str | None:
        """Return a hint for a program that failed, or, once in a run, for one whose result is doubtful."""
        if step["ok"]:
            doubt = None if self._doubted else self._doubt(step)
            self._doubted.extend([doubt] if doubt else [])
            return doubt
        taken = values_as_columns(missing_columns(step["output"]), self.contents)
        return (
            (hint_for_values_as_columns(taken, self.contents) if taken else None)
            or hint_for_failure(step["output"], self.columns, self.contents.merges)
            or hint_for_functions(str(step["arguments"].get("code", "")), step["output"])
            or hint_for_error(traceback_tail(step["output"]))
        )


def calls_made(task: Task, steps: Sequence[Step]) -> int:
    """Return the number of steps that are calls by the model."""
    return len(steps) - (len(task.programs.looked) if task.programs else 0)
