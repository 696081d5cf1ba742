"""How a model that can program is asked: facts of the files first, programs in code fences, their output, errors with what helps.

The system message is a text file (`prompts/programs.txt`) and the same for every question, so that all conversations begin alike. What
differs, the files and variables that there are, stands in the question.
"""

from __future__ import annotations

import re

from analystd.agent.facts import traceback_tail
from analystd.agent.progress import SILENT
from analystd.agent.prompt import packaged_prompt
from analystd.engine.base import EngineInfo
from analystd.protocol import Step

LEAST_PARAMETERS = 400_000_000
"""Models with fewer weights follow examples of calls better than they write programs."""

REPEATED = "This is the same program as before, and it fails in the same way. Change what the error is about."

_ERROR_LINE = re.compile(r"\(line (\d+)\)\s*$")

LOOK = "look"
"""The name of the step in which the agent itself looks at the files before the model is asked."""


def can_program(info: EngineInfo) -> bool:
    """Return whether a model is asked for programs; one of unknown size, as behind a server, is."""
    return info.parameters is None or info.parameters >= LEAST_PARAMETERS


def system_prompt() -> str:
    """Return the system message, where no setting names another."""
    return packaged_prompt("programs.txt")


def question_with_facts(question: str, facts: str) -> str:
    """Return the question after what was found out about the files and variables."""
    return f"{facts}\n\nQuestion: {question}" if facts else question


def result_text(step: Step, output: str) -> str:
    """Return what the model is shown of a step, whose (perhaps shortened) output is given."""
    if step["ok"]:
        if output.strip() == SILENT:
            return "The program ran, but it printed nothing. Print the values that were asked for."
        shown = output.strip()
        return f"Output:\n{shown}\n\nIf this answers the question, answer it now with these values. Else write the next program."
    lines = [f"The program failed:\n{traceback_tail(output)}"]
    lines += _failed_line(step)
    lines += [step["hint"]] if "hint" in step else []
    return "\n".join([*lines, "Write the whole corrected program in a ```python block."])


def _failed_line(step: Step) -> list[str]:
    """The line of the program that its error names, if it names one."""
    found = _ERROR_LINE.search(step["output"])
    lines = str(step["arguments"].get("code", "")).splitlines()
    if found is None or not 0 < int(found[1]) <= len(lines):
        return []
    return [f"Line {found[1]} of the program is: {lines[int(found[1]) - 1].strip()}"]
