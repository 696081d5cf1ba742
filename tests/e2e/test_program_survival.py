"""What models write instead of a plain program in a fence: none of it hangs a run, runs twice, or passes for an answer."""

from __future__ import annotations

from typing import Any

import pytest
from tests.station import Station

PROGRAMMER = 1_500_000_000
CODE = "import pandas as pd\nprint('mean close:', pd.read_csv('bars.csv')['close'].mean())"
IN_JSON = CODE.replace("\n", "\\n")
MEAN = f"```python\n{CODE}\n```"
ANSWER = ("The mean close is 11.25.", "Output:\nmean close: 11.25")

FORMS = {
    "fence": MEAN,
    "fence after words": f"I read the file first.\n\n{MEAN}\nThis prints it.",
    "fence of py": f"```py\n{CODE}\n```",
    "fence in capitals": f"```Python\n{CODE}\n```",
    "fence that is not closed": f"```python\n{CODE}",
    "fence after a thought": f"<think>\nI need the mean.\n</think>\n\n{MEAN}",
    "two fences": f"{MEAN}\nor\n```python\nopen('second.txt', 'w')\n```",
    "qwen's call": f'<tool_call>\n{{"name": "pyexe", "arguments": {{"code": "{IN_JSON}"}}}}\n</tool_call>',
    "qwen-coder's call": f"<tool_call>\n<function=pyexe>\n<parameter=code>\n{CODE}\n</parameter>\n</function>\n</tool_call>",
    "our tag": f'<tool name="pyexe">\n{{"code": "{IN_JSON}"}}\n</tool>',
}


def asked(
    station: Station, *replies: str | tuple[str, str], question: str = "What is the mean close?", check: int | None = 0
) -> dict[str, Any]:
    (station.workspace / "bars.csv").write_text("day,close\n2024-01-01,10.5\n2024-01-02,12\n")
    station.play(replies, parameters=PROGRAMMER)
    result: dict[str, Any] = station.result("run", question, check=check)
    return result


def programs(result: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for step in result["steps"] if step["tool"] == "pyexe"]


@pytest.mark.parametrize("form", FORMS)
def test_a_program_is_run_once_in_whatever_form_it_comes(fresh_station: Station, form: str) -> None:
    result = asked(fresh_station, FORMS[form], ANSWER)
    assert (result["status"], result["answer"]) == ("done", ANSWER[0])
    (step,) = programs(result)
    assert step["arguments"]["code"].strip() == CODE
    assert not (fresh_station.workspace / "second.txt").exists()


def test_a_program_in_a_thought_is_not_run(fresh_station: Station) -> None:
    thought = "<think>\nPerhaps:\n```python\nopen('thought.txt', 'w')\n```\nNo.\n</think>\n"
    result = asked(fresh_station, thought + MEAN, (f"<think>7?</think>{ANSWER[0]}", ANSWER[1]))
    assert (result["status"], result["answer"]) == ("done", ANSWER[0])
    assert len(programs(result)) == 1
    assert not (fresh_station.workspace / "thought.txt").exists()


def test_prose_instead_of_a_program_ends_with_its_numbers_marked(fresh_station: Station) -> None:
    result = asked(
        fresh_station,
        "You can compute the mean with pandas.",
        ("Read the file and call mean(). It is 42.", "Write a program in a ```python block"),
        ("Call mean(), which gives 42.", "These numbers stand in no output: 42."),
    )
    assert (programs(result), result["answer"]) == ([], "Call mean(), which gives 42.")
    assert [each["text"] for each in result["unsupported"]] == ["42"]


def test_an_endless_program_is_stopped_and_mended(fresh_station: Station) -> None:
    fresh_station.environment["AGENT_EXEC_TIMEOUT_SECONDS"] = "2"
    result = asked(
        fresh_station,
        "```python\nwhile True:\n    pass\n```",
        (MEAN, "A program was tried for this and failed:\n- TimeoutError"),
        "The mean close is 11.25.",
    )
    assert [step["ok"] for step in programs(result)] == [False, True]
    assert (result["status"], result["answer"]) == ("done", "The mean close is 11.25.")


def test_programs_without_end_or_bounds_end_the_run_in_time(fresh_station: Station) -> None:
    fresh_station.environment["AGENT_EXEC_TIMEOUT_SECONDS"] = "2"
    endless = "```python\nwhile True:\n    print('x' * 1000)\n```"
    result = asked(fresh_station, *[endless] * 4, "All done.", check=4)
    assert result["status"] == "limit"
    # The same program with the same outcome leads nowhere, so that not all tries are spent on it.
    assert result["answer"].startswith("There is no result: the last 3 programs failed")
    assert len(result["answer"]) < 2000


def test_a_program_that_only_plots_is_an_answer_to_a_question_for_a_plot(fresh_station: Station) -> None:
    pytest.importorskip("matplotlib")
    plot = "```python\nimport pandas as pd, matplotlib.pyplot as plt\nplt.plot(pd.read_csv('bars.csv')['close'])\nplt.show()\n```"
    result = asked(fresh_station, plot, ("The plot is shown.", "1 plot was shown"), question="Plot the close.")
    assert (result["status"], result["answer"]) == ("done", "The plot is shown.")
    assert programs(result)[0]["displays"] == 1


def test_a_plot_alone_answers_no_question_for_a_number(fresh_station: Station) -> None:
    pytest.importorskip("matplotlib")
    plot = "```python\nimport pandas as pd, matplotlib.pyplot as plt\nplt.plot(pd.read_csv('bars.csv')['close'])\nplt.show()\n```"
    result = asked(
        fresh_station, plot, "The mean close is 11.2.", (MEAN, "These numbers stand in no output: 11.2"), ANSWER
    )
    assert (result["status"], result["answer"]) == ("done", ANSWER[0])


def test_words_after_a_failure_end_the_run_when_they_come_again(fresh_station: Station) -> None:
    failing = "```python\n1 / 0\n```"
    result = asked(fresh_station, failing, "Sorry, I cannot help.", "Sorry, I cannot help with that.", check=4)
    assert result["status"] == "limit"
    assert result["answer"].startswith("There is no result: the last program failed")
