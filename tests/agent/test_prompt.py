import json

import pytest

from analystd.agent.prompt import (
    LISTED_FILES,
    example_turns,
    first_call_tools,
    system_prompt,
    tool_result_message,
)
from analystd.agent.toolcalls import ToolCall, ToolCallParser
from analystd.engine.base import ToolSpec
from analystd.tools.base import validate
from analystd.tools.data_view import DATA_VIEW
from analystd.tools.files import LIST_FILES, READ_FILE, WRITE_FILE
from analystd.tools.pyexe import PYEXE

TOOLS = (LIST_FILES, READ_FILE, WRITE_FILE, DATA_VIEW, PYEXE)
LISTING = ("btc_1m_bars.csv", "notes.txt", "ticks.CSV.gz", "data/")


def test_the_system_message_names_files_and_tools() -> None:
    text = system_prompt(TOOLS, LISTING)
    assert "Files: btc_1m_bars.csv, notes.txt, ticks.CSV.gz, data/." in text
    assert "data_view(path, operation=columns|head|tail|shape|schema|rows|describe, n_rows?, offset?, columns?)" in text
    assert text.index("data_view(") < text.index("list_files(")


def test_a_long_listing_is_cut_and_an_empty_one_told() -> None:
    assert f"f{LISTED_FILES - 1} and 5 more." in system_prompt((), [f"f{number}" for number in range(LISTED_FILES + 5)])
    assert "no files yet" in system_prompt((), ())


def test_without_tools_none_are_spoken_of() -> None:
    assert "Tools:" not in system_prompt((), LISTING)
    assert example_turns(()) == ()


def test_the_examples_are_valid_calls_of_tools_that_are_offered() -> None:
    specs = {tool.name: tool for tool in TOOLS}
    for turn in example_turns(TOOLS):
        if turn.role == "assistant" and turn.content.startswith("<tool"):
            (call,) = ToolCallParser().feed(turn.content)
            assert isinstance(call, ToolCall)
            validate(specs[call.name].parameters, call.arguments)
    assert "pyexe" not in json.dumps([turn.content for turn in example_turns((DATA_VIEW,))])


def test_examples_are_whole_exchanges() -> None:
    roles = [turn.role for turn in example_turns(TOOLS)]
    assert roles == ["user", "assistant", "tool", "assistant"] * (len(roles) // 4)


@pytest.mark.parametrize(
    ("question", "tools"),
    [
        ("How many rows does btc_1m_bars.csv have?", (DATA_VIEW, PYEXE)),
        ("Describe 'BTC_1M_BARS.CSV'.", (DATA_VIEW, PYEXE)),
        ("What do notes.txt and btc_1m_bars.csv say?", (DATA_VIEW, PYEXE, READ_FILE)),
        ("What does notes.txt say?", (PYEXE, READ_FILE)),
        ("What is in ticks.csv.gz?", (DATA_VIEW, PYEXE)),
        ("What is in old_btc_1m_bars.csv?", ()),
        ("What is in btc_1m_bars.csv.gz?", ()),
        ("What is in data/?", ()),
        ("What is 2+2?", ()),
    ],
)
def test_a_question_that_names_a_file_calls_for_a_look_into_it(question: str, tools: tuple[ToolSpec, ...]) -> None:
    assert first_call_tools(question, LISTING, TOOLS) == tools


def test_results_and_failures_are_told_apart() -> None:
    assert tool_result_message("data_view", True, "Shape: 3 rows\n") == "Result of data_view:\nShape: 3 rows"
    assert tool_result_message("pyexe", True, "") == "Result of pyexe:\n(no output)"
    assert tool_result_message("pyexe", False, "NameError") == "pyexe failed:\nNameError"
