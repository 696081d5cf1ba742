"""The founding document's calls, replayed by a scripted model against the real daemon, and compared with the outputs that it shows."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.station import Station

from analystd.cli.demo import BARS, write_bars

HEADER = "timestamp,open,high,low,close,volume\n"
ROWS = 1_000_000
BLOCKS = re.findall(r"<tool .*?</tool>", Path(__file__).with_name("workflow_calls.txt").read_text(), re.DOTALL)


def write_prices(path: Path, rows: int) -> None:
    with path.open("w") as file:
        file.write(HEADER)
        file.writelines(
            f"2023-01-01 {i // 3600 % 24:02}:{i // 60 % 60:02}:{i % 60:02},{i}.5,{i + 1},{i},{i}.25,{i % 97}\n"
            for i in range(rows)
        )


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[dict[str, Any]]]:
    """The steps of one run in which the model makes every call of the document."""
    station = Station(tmp_path_factory.mktemp("w"), AGENT_MAX_STEPS="30")
    station.play([*BLOCKS, "All done."])
    write_prices(station.workspace / "prices.csv", 100)
    write_prices(station.workspace / "prices_1m_bars.csv", ROWS)
    write_bars(station.workspace / "btc_1m_bars.csv", BARS)
    try:
        result = station.result("run", "Show me everything.")
        assert (result["status"], result["answer"]) == ("done", "All done.")
        yield result["steps"]
    finally:
        station.stop()


def output(steps: list[dict[str, Any]], number: int, *, ok: bool = True) -> str:
    step = steps[number]
    assert step["ok"] is ok, step["output"]
    return str(step["output"])


def test_every_call_arrives_with_the_arguments_that_are_written(steps: list[dict[str, Any]]) -> None:
    assert len(steps) == len(BLOCKS)
    for step, block in zip(steps, BLOCKS, strict=True):
        head, _, rest = block.partition("\n")
        assert head == f'<tool name="{step["tool"]}">'
        assert step["arguments"] == json.loads(rest.removesuffix("</tool>"))


def test_code_on_several_lines_with_quotes_runs(steps: list[dict[str, Any]]) -> None:
    assert "timestamp" in output(steps, 0)


def test_write_file_creates_a_file_in_the_workspace_that_read_file_reads(steps: list[dict[str, Any]]) -> None:
    assert "data/synthetic_prices.csv" in output(steps, 1)
    assert output(steps, 2) == "timestamp,open,high,low,close\n..."


def test_columns_are_listed_with_their_numbers(steps: list[dict[str, Any]]) -> None:
    assert output(steps, 3) == "Columns (6):\n  1. timestamp\n  2. open\n  3. high\n  4. low\n  5. close\n  6. volume"


def test_head_and_tail_show_five_rows_as_a_table(steps: list[dict[str, Any]]) -> None:
    head, tail = output(steps, 4), output(steps, 6)
    assert "2023-01-01 00:00:00" in head
    assert "4.25" in head
    assert "5.25" not in head
    assert f"{ROWS - 1}.25" in tail
    assert f"{ROWS - 6}.25" not in tail


def test_shape_counts_a_million_rows(steps: list[dict[str, Any]]) -> None:
    assert output(steps, 5) == "Shape: 1000000 rows × 6 columns\nColumns: timestamp, open, high, low, close, volume"


def test_data_loaded_once_is_there_in_later_calls(steps: list[dict[str, Any]]) -> None:
    assert output(steps, 7) == "Loaded 1000000 rows"
    assert "std" in output(steps, 8)
    assert output(steps, 9) == str((ROWS - 1) / 2 + 0.25)


def test_the_torch_block_tells_whether_torch_is_there(steps: list[dict[str, Any]]) -> None:
    if importlib.util.find_spec("torch"):
        assert output(steps, 10) == "Model created"
    else:
        assert "No module named 'torch'" in output(steps, 10, ok=False)


def test_a_reset_session_runs_on(steps: list[dict[str, Any]]) -> None:
    assert output(steps, 11) == "New task"


def test_the_complete_workflow_runs_from_listing_to_verification(steps: list[dict[str, Any]]) -> None:
    assert "btc_1m_bars.csv" in output(steps, 12)
    assert output(steps, 13).startswith("Shape: 525600 rows × 6 columns\n")
    assert output(steps, 14).startswith("Loaded 525600 bars\n")
    assert "Mean return:" in output(steps, 15)
    assert "Volatility:" in output(steps, 15)
    assert output(steps, 16) == "Generated 1000 synthetic bars"
    verified = output(steps, 17)
    assert "2024-01-01 00:09:00" in verified
    assert "2024-01-01 00:10:00" not in verified
