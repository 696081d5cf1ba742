"""Prompts for a model that can program: facts of the files first, then programs in code fences, their output, and errors with hints.

The system message is a text file (`prompts/programs.txt`) and the same for every question, so that all conversations begin alike. What
differs, such as the existing files and variables, stands in the question.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from analystd.agent.call_syntaxes import PROGRAM_TOOL
from analystd.agent.facts import traceback_tail, without_deprecations
from analystd.agent.progress import SILENT
from analystd.agent.prompt import packaged_prompt
from analystd.engine.base import EngineInfo
from analystd.wire.results import Step

LEAST_PARAMETERS = 400_000_000
"""Models with fewer parameters follow examples of calls better than they write programs."""

_WHAT_NEXT = "If this answers the question, answer it now with these values. Else write the next program."
_ECHO_CHARACTERS = 40
_BEFORE_QUESTION = "\n\nQuestion: "
_MOST_FAILURES_TOLD = 3
_MOST_CHARACTERS_THAT_RAN = 1500

_PLAIN = (
    ast.Assign, ast.Call, ast.Constant, ast.Dict, ast.Expr, ast.expr_context, ast.FormattedValue, ast.JoinedStr, ast.keyword, ast.List,
    ast.Name, ast.Pass, ast.Tuple,
)  # fmt: skip
"""The syntax nodes of a program that computes nothing."""
_COUNTS = re.compile(r"(?m)^\S.*: (\d+) rows, (\d+) columns$")
_NUMBER = re.compile(r"\d[\d,_.]*\d|\d")
_ERROR_LINE = re.compile(r"\(line (\d+)\)\s*$")

LOOK = "look"
"""The name of the step in which the agent itself looks at the files before the model is asked."""


def can_program(info: EngineInfo) -> bool:
    """Return whether a model is asked for programs; so is one of unknown size, such as one behind a server."""
    return info.parameters is None or info.parameters >= LEAST_PARAMETERS


def system_prompt() -> str:
    """Return the system message that is used unless a setting replaces it."""
    return packaged_prompt("programs.txt")


def question_with_facts(question: str, facts: str) -> str:
    """Return the question, preceded by the facts about files and variables."""
    return f"{facts}{_BEFORE_QUESTION}{question}" if facts else question


def facts_and_question(content: str) -> tuple[str, str]:
    """Return the two parts that `question_with_facts` combined."""
    facts, mark, question = content.partition(_BEFORE_QUESTION)
    return (facts, question) if mark else ("", content)


def result_text(output: str) -> str:
    """Return the message to the model about a program that ran, given its (perhaps shortened) output."""
    shown = without_deprecations(output).strip()
    if shown in (SILENT, ""):
        return "The program ran, but it printed nothing. Print the values that were asked for."
    return f"Output:\n{shown}\n\n{_WHAT_NEXT}"


def without_echo(answer: str) -> str:
    """Return an answer without instructions to the model that it repeats."""
    return answer.partition(_WHAT_NEXT[:_ECHO_CHARACTERS])[0].rstrip()


def says_only_itself(code: str) -> bool:
    """Return whether a program only prints texts and numbers that are written in it, or does nothing at all."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return all(
        isinstance(node, _PLAIN) and (not isinstance(node, ast.Call) or _name(node.func) == "print")
        for statement in tree.body
        for node in ast.walk(statement)
    ) and all(_is_made_here(node, tree) for node in ast.walk(tree) if isinstance(node, ast.Name))


def is_said_of_files(code: str, looks: Sequence[str]) -> bool:
    """Return whether all numbers written in a program are numbers of rows and columns that the look at the files found."""
    counts = {number for look in looks for found in _COUNTS.finditer(look) for number in found.groups()}
    written = {number.replace(",", "").replace("_", "") for number in _NUMBER.findall(code)}
    return bool(written) and written <= counts


def _is_made_here(node: ast.Name, tree: ast.Module) -> bool:
    made = {each.id for each in ast.walk(tree) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
    return node.id in made or node.id == "print"


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def is_failed_program(step: Step) -> bool:
    """Return whether a step is a program that failed, or ran without a usable result, and must be rewritten."""
    return step["tool"] == PROGRAM_TOOL and (not step["ok"] or "hint" in step)


def failed_programs(steps: Sequence[Step]) -> list[Step]:
    """Return the programs that must be rewritten: all since the last step with a result."""
    failed: list[Step] = []
    for step in reversed(steps):
        if step["tool"] == LOOK or (step["ok"] and not is_failed_program(step)):
            break
        failed[:0] = [step] if is_failed_program(step) else []
    return failed


def fails_as_before(steps: Sequence[Step]) -> bool:
    """Return whether the last two programs failed in the same line with the same error, whatever else differs between them."""
    failed = failed_programs(steps)[-2:]
    return len(failed) == 2 and _failure(failed[0]) == _failure(failed[1])


def _failure(step: Step) -> tuple[str, str]:
    number = _failed_line(step)
    line = _code(step).splitlines()[number - 1].strip() if number is not None else ""
    return _ERROR_LINE.sub("", traceback_tail(step["output"])).strip(), line


def failures_text(failed: Sequence[Step]) -> str:
    """Return the message to the model about failed programs: what ran, where and how they failed, and hints.

    A small model that sees its whole program repeats it with its mistake (nine of eleven observed programs, to the letter); after a single
    failure the message also has the lines that ran before it, since the mistake may be there.
    """
    told = list(dict.fromkeys("\n".join(_failure_lines(step)) for step in failed))[-_MOST_FAILURES_TOLD:]
    begun = _lines_that_ran(failed[0]) if len(failed) == 1 else ""
    lines = [f"A program was tried for this. It began with\n```python\n{begun}\n```\nand then failed:"] if begun else []
    lines = lines or [f"{'Programs were' if len(told) > 1 else 'A program was'} tried for this and failed:"]
    return "\n".join(
        [
            *lines,
            *told,
            "Write the whole program anew in a ```python block, and do the part that failed in another way.",
        ]
    )


def _failure_lines(step: Step) -> list[str]:
    number = _failed_line(step)
    lines = [f"- {traceback_tail(step['output'])}"]
    if number is not None:
        lines.append(f"The line was: {_code(step).splitlines()[number - 1].strip()}")
    return [*lines, step["hint"]] if "hint" in step else lines


def _lines_that_ran(step: Step) -> str:
    """Return the statements before the one that failed, without comments; empty if they are only imports or long."""
    number = _failed_line(step)
    try:
        body = ast.parse(_code(step)).body if number is not None else []
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    ran = [each for each in body if (each.end_lineno or each.lineno) < (number or 0)]
    if all(isinstance(each, (ast.Import, ast.ImportFrom)) for each in ran):
        return ""
    text = "\n".join(ast.unparse(each) for each in ran)
    return text if len(text) <= _MOST_CHARACTERS_THAT_RAN else ""


def _failed_line(step: Step) -> int | None:
    """Return the line number in the error, if it is one of the program."""
    found = _ERROR_LINE.search(step["output"])
    return int(found[1]) if found and 0 < int(found[1]) <= len(_code(step).splitlines()) else None


def _code(step: Step) -> str:
    return str(step["arguments"].get("code", ""))
