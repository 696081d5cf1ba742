"""Review whether a reply may end the run of a model that can program: not after a failed program, nor with unsupported numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from analystd.agent.column_hints import missing_columns
from analystd.agent.name_check import names_from_nowhere
from analystd.agent.number_check import Sources, Unsupported, unsupported_numbers
from analystd.agent.programs import LOOK
from analystd.agent.progress import SILENT
from analystd.wire.results import Step

MAX_FAILURES = 4
"""Number of consecutive failed programs after which the run ends and says so."""

_CONVENTIONS = "0.001 0.01 0.05 0.1 0.9 0.95 0.99 1.96"
"""Levels of significance and confidence, which answers mention and no program prints."""
_DIGIT = re.compile(r"\d")
_MISSING = re.compile(
    r"\b(?:no|not|cannot|can['’]t|doesn['’]t|isn['’]t|without|missing|lacks?|absent|kein\w*|nicht|fehl\w*)\b",
    re.IGNORECASE,
)


@dataclass
class Reviewer:
    """Reviews replies. Each objection is raised a limited number of times, so that a run ends."""

    given: tuple[str, ...]
    """The texts that the model received besides outputs: the question with the facts of files, then the earlier texts and outputs."""
    asked: str = ""
    """The question as the user wrote it."""
    needs_program: bool = True
    """Whether the question is about existing data, so that an answer without any program is a guess."""
    held_back: str | None = None
    """An answer that was rejected because of unsupported numbers; with these marked, it is used if there is no better one."""
    _raised: set[str] = field(default_factory=set)

    def objection(self, answer: str, steps: Sequence[Step]) -> str | None:
        """Return why the reply is not accepted as the answer, worded for the model; None if it is."""
        programs = [step for step in steps if step["tool"] != LOOK]
        if failed_in_a_row(programs):
            failure = f"failure {len(programs)}"
            if says_column_is_missing(answer, programs[-1]) or failure in self._raised:
                return None
            self._raised.add(failure)
            return "The last program failed, so there is no result yet. Write the whole corrected program in a ```python block."
        if not programs and self.needs_program and self._once("guess", answer):
            return "Do not answer from memory. Write a program in a ```python block that computes the answer from the data."
        if programs and programs[-1]["output"].strip() == SILENT and self._once("silent", answer):
            return "The program printed nothing. Write a program in a ```python block that prints the values that were asked for."
        if answer in self.given and self._once("repeated", answer):
            return f"That answers the question before. Answer this one, with the values that were printed: {self.asked}"
        computed = [self.asked, *self.given[1:], *_said_and_printed(programs)]
        names = names_from_nowhere(self.asked, answer, computed) if programs else []
        if names and self._once("names", answer):
            return (
                f"These names stand in no output: {', '.join(names)}. "
                "Write a program in a ```python block that prints the names that were asked for."
            )
        # A number that occurs only in the description of the files is not a result either, though it is true.
        wrong = _unsupported(answer, computed if programs else self._sources(steps))
        if wrong and self._once("numbers", answer):
            # The answer may be used later only if its numbers will be marked; otherwise it could pass for a result.
            self.held_back = answer if self.unsupported(answer, steps) else None
            named = ", ".join(each.text for each in wrong[:5])
            return (
                f"These numbers stand in no output: {named}. Answer again with printed values only, "
                "or write a program in a ```python block that prints what is missing."
            )
        return None

    def unsupported(self, answer: str, steps: Sequence[Step]) -> list[Unsupported]:
        """Return the numbers of an answer that no source supports."""
        return _unsupported(answer, self._sources(steps))

    def _sources(self, steps: Sequence[Step]) -> list[str]:
        """Return all texts that may support an answer."""
        return [*self.given, *_said_and_printed(steps)]

    def _once(self, objection: str, answer: str) -> bool:
        if objection in self._raised or not answer:
            return False
        self._raised.add(objection)
        return True


def _said_and_printed(steps: Sequence[Step]) -> list[str]:
    """Return the programs of steps, and their outputs."""
    return [*(str(step["arguments"].get("code", "")) for step in steps), *(step["output"] for step in steps)]


def _unsupported(answer: str, sources: Sequence[str]) -> list[Unsupported]:
    return unsupported_numbers(answer, Sources([*sources, _CONVENTIONS])) if _DIGIT.search(answer) else []


def says_column_is_missing(answer: str, step: Step) -> bool:
    """Return whether an answer says that the column for which a program failed does not exist, which may be a complete answer."""
    return (
        bool(_MISSING.search(answer))
        and "```" not in answer
        and not _DIGIT.search(answer)
        and any(name in answer for name in missing_columns(step["output"]))
    )


def failed_in_a_row(steps: Sequence[Step]) -> int:
    """Return the number of consecutive failed programs at the end."""
    count = 0
    for step in reversed(steps):
        if step["ok"] or step["tool"] == LOOK:
            break
        count += 1
    return count
