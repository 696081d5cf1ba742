"""Whether a reply in words may end the run of a model that can program: not while its program failed, nor with numbers from nowhere."""

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
"""So many programs in a row may fail; then the run ends and says so."""

_CONVENTIONS = "0.001 0.01 0.05 0.1 0.9 0.95 0.99 1.96"
"""Levels of significance and confidence, which answers name and no program prints."""
_DIGIT = re.compile(r"\d")
_MISSING = re.compile(
    r"\b(?:no|not|cannot|can['’]t|doesn['’]t|isn['’]t|without|missing|lacks?|absent|kein\w*|nicht|fehl\w*)\b",
    re.IGNORECASE,
)


@dataclass
class Reviewer:
    """Looks at replies. Each objection is raised a bounded number of times, so that a run ends."""

    given: tuple[str, ...]
    """The texts that the model was given beside outputs: the question with the facts of files, then what was said and printed before."""
    asked: str = ""
    """The question as it was put."""
    needs_program: bool = True
    """Whether the question is about data that is there, so that an answer without any program is a guess."""
    held_back: str | None = None
    """An answer that was not taken because of numbers that stand nowhere; marked, it is better than none, if nothing better comes."""
    _raised: set[str] = field(default_factory=set)

    def objection(self, answer: str, steps: Sequence[Step]) -> str | None:
        """Return why the reply is not taken as the answer, in words for the model; None when it is."""
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
        # What only the description of the files has is no result either, though it is true.
        wrong = _unsupported(answer, computed if programs else self._sources(steps))
        if wrong and self._once("numbers", answer):
            # Only what will be marked may come back; what no mark would show must not pass for a result.
            self.held_back = answer if self.unsupported(answer, steps) else None
            named = ", ".join(each.text for each in wrong[:5])
            return (
                f"These numbers stand in no output: {named}. Answer again with printed values only, "
                "or write a program in a ```python block that prints what is missing."
            )
        return None

    def unsupported(self, answer: str, steps: Sequence[Step]) -> list[Unsupported]:
        """Return the numbers of an answer that nothing supports."""
        return _unsupported(answer, self._sources(steps))

    def _sources(self, steps: Sequence[Step]) -> list[str]:
        """All that what is said may come from."""
        return [*self.given, *_said_and_printed(steps)]

    def _once(self, objection: str, answer: str) -> bool:
        if objection in self._raised or not answer:
            return False
        self._raised.add(objection)
        return True


def _said_and_printed(steps: Sequence[Step]) -> list[str]:
    """The programs of steps, and what they printed."""
    return [*(str(step["arguments"].get("code", "")) for step in steps), *(step["output"] for step in steps)]


def _unsupported(answer: str, sources: Sequence[str]) -> list[Unsupported]:
    return unsupported_numbers(answer, Sources([*sources, _CONVENTIONS])) if _DIGIT.search(answer) else []


def says_column_is_missing(answer: str, step: Step) -> bool:
    """Return whether an answer says of the column for which a program failed that there is none, which may be all there is to say."""
    return (
        bool(_MISSING.search(answer))
        and "```" not in answer
        and not _DIGIT.search(answer)
        and any(name in answer for name in missing_columns(step["output"]))
    )


def failed_in_a_row(steps: Sequence[Step]) -> int:
    """Return how many of the last programs failed."""
    count = 0
    for step in reversed(steps):
        if step["ok"] or step["tool"] == LOOK:
            break
        count += 1
    return count
