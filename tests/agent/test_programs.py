"""The messages about failed programs to a model that can program."""

from __future__ import annotations

from typing import Any

import pytest

from analystd.agent.programs import (
    facts_and_question,
    fails_as_before,
    failures_text,
    is_said_of_files,
    question_with_facts,
    result_text,
    says_only_itself,
    without_echo,
)
from analystd.agent.review import Reviewer
from analystd.agent.task import Programs
from analystd.wire.results import Step


def failed(code: str, output: str, **more: Any) -> Step:
    return {"tool": "pyexe", "arguments": {"code": code}, "ok": False, "output": output, "seconds": 0.1, **more}  # type: ignore[typeddict-item]


PROGRAM = """\
import pandas as pd
# Load
df = pd.read_csv('a.csv')
for name in df:
    total = df[name].sum()
    print(total.strftime('%Y'))
print(total)
"""


def test_what_ran_is_shown_and_what_failed_only_by_its_line() -> None:
    text = failures_text([failed(PROGRAM, "12\nAttributeError: no strftime (line 6)", hint="Use numbers.")])
    assert "```python\nimport pandas as pd\ndf = pd.read_csv('a.csv')\n```\nand then failed:\n" in text
    assert (
        "- 12\nAttributeError: no strftime (line 6)\nThe line was: print(total.strftime('%Y'))\nUse numbers.\n" in text
    )
    assert "for name in df" not in text
    again = failures_text([failed(PROGRAM, "AttributeError: no strftime (line 6)")] * 2)
    assert "read_csv" not in again, "the mistake may lie in what ran"


def test_of_several_failures_each_is_told_once_and_the_last_three() -> None:
    steps = [failed("x(", f"SyntaxError: {number} (line 1)") for number in (1, 2, 2, 3, 4)]
    text = failures_text(steps)
    assert text.startswith("Programs were tried for this and failed:\n- SyntaxError: 2 (line 1)\nThe line was: x(\n")
    assert [text.count(f"SyntaxError: {number}") for number in (1, 2, 3, 4)] == [0, 1, 1, 1]


def test_imports_alone_and_lines_that_are_not_the_program_s_are_not_shown() -> None:
    assert "```python\nimport" not in failures_text([failed("import os\n1/0", "ZeroDivisionError (line 2)")])
    for output in ("Boom", "Boom (line 99)", "Boom (line 0)"):
        assert "The line was" not in failures_text([failed("x = 1\n1/0", output)])
    long = f"x = '{'a' * 5000}'\n1/0"
    assert "aaa" not in failures_text([failed(long, "ZeroDivisionError (line 2)")])


@pytest.mark.parametrize(
    ("code", "only"),
    [
        ("print('2013')", True),
        ("year = 2013\nprint(f'It is {year}')", True),
        ("# nothing but a comment", True),
        ("pass", True),
        ("print(total)", False),
        ("print(2013 - 1999)", False),
        ("print(len(df))", False),
        ("import pandas as pd\nprint(pd.read_csv('a.csv').shape)", False),
        ("df.describe()", False),
        ("print(", False),
    ],
)
def test_a_program_that_prints_only_what_is_written_in_it_is_seen(code: str, only: bool) -> None:
    assert says_only_itself(code) == only


def test_what_the_model_was_told_to_do_is_no_part_of_its_answer() -> None:
    told = result_text("mean: 3").splitlines()[-1]
    assert without_echo(f"The mean is 3.\n{told}") == "The mean is 3."
    assert without_echo("The mean is 3.") == "The mean is 3."


@pytest.mark.parametrize(
    ("code", "known"),
    [
        ("print('rows:', 525600)\nprint(['close', 'open'])", True),
        ("print('525,600 rows and 6 columns')", True),
        ("print(2013)", False),
        ("print('Lithium')", False),
        ("print(525600, 7)", False),
    ],
)
def test_what_the_look_at_the_files_counted_may_be_printed(code: str, known: bool) -> None:
    look = "bars.csv: 525600 rows, 6 columns\n- day (date): 2009 to 2013\n| 7 rows, 7 columns"
    assert is_said_of_files(code, [look]) == known


@pytest.mark.parametrize(
    ("question", "facts"), [("How many?", "a.csv: 3 rows"), ("Say: \n\nQuestion: 7", "a"), ("Only this", "")]
)
def test_facts_and_question_are_told_apart_again(question: str, facts: str) -> None:
    assert facts_and_question(question_with_facts(question, facts)) == (facts, question)


def test_failures_are_the_same_whatever_else_differs_between_their_programs() -> None:
    first = failed("import pandas as pd\nprint(df.fare)", "KeyError: 'fare' (line 2)")
    again = failed("# Load\nimport pandas as pd\n\n  # Print\nprint(df.fare)", "KeyError: 'fare' (line 5)")
    assert fails_as_before([first, again])
    assert not fails_as_before([again])
    for other in (
        failed("print(df.fares)", "KeyError: 'fares' (line 1)"),
        failed("print(df.fare + 1)", "KeyError: 'fare' (line 1)"),
        Step(tool="pyexe", arguments={"code": "print(df.fare)"}, ok=True, output="1", seconds=0.1),
        Step(tool="look", arguments={}, ok=True, output="", seconds=0.1),
    ):
        assert not fails_as_before([first, other])
        assert not fails_as_before([again, first, other])


def test_only_columns_and_values_are_lacking_in_the_data() -> None:
    programs = Programs(Reviewer(()), columns={"a.csv": ("x", "y")})
    said = programs.lacking(failed("df['fare']", "KeyError: 'fare' (line 1)"))
    assert said == "There is no column 'fare'. The columns of a.csv are 'x', 'y'."
    for output in ("KeyError: 0 (line 1)", "KeyError: -1 (line 1)", "KeyError: 'x' (line 1)", "ValueError: 7 (line 1)"):
        assert programs.lacking(failed("df[0]", output)) is None
    assert Programs(Reviewer(())).lacking(failed("df['fare']", "KeyError: 'fare' (line 1)")) is None
