from __future__ import annotations

import json
from typing import Any, get_type_hints

import pytest

from analystd.client.results import AgentResult, Failure, PythonResult
from analystd.client.runs import any_result
from analystd.wire import results

ANSWER: dict[str, Any] = {
    "run_id": "run_1_a",
    "conversation": "c",
    "status": "done",
    "answer": "It has 2 rows.",
    "steps": [{"tool": "data_view", "arguments": {"path": "t.csv"}, "ok": True, "output": "2 rows", "seconds": 0.1}],
    "usage": {"prompt_tokens": 10, "cached_tokens": 4, "completion_tokens": 5, "seconds": 1.5},
    "of_a_newer_daemon": [1],
}


def test_a_record_reads_by_attributes_all_the_way_down() -> None:
    result = AgentResult.of(ANSWER)
    assert (result.status, result.steps[0].tool, result.usage.cached_tokens) == ("done", "data_view", 4)
    assert (result.steps[0].valid, result.error) == (True, None)
    assert str(result) == "It has 2 rows."


def test_a_record_is_the_object_of_the_wire_as_a_mapping() -> None:
    result = AgentResult.of(ANSWER)
    assert result == ANSWER
    assert json.loads(json.dumps(dict(result))) == ANSWER
    assert result["of_a_newer_daemon"] == [1]


def test_a_record_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        AgentResult.of(ANSWER).answer = "It has 3."  # type: ignore[misc]


def test_what_is_null_stays_none_and_what_is_there_becomes_a_record() -> None:
    wire = {"error": {"kind": "engine_unavailable", "message": "no model", "hint": None}}
    assert AgentResult.of({**ANSWER, **wire}).error == Failure(
        kind="engine_unavailable", message="no model", wire=wire["error"]
    )
    assert AgentResult.of({**ANSWER, "error": None}).error is None


def test_the_kind_of_a_result_is_seen_from_its_members() -> None:
    assert isinstance(any_result(ANSWER), AgentResult)
    python = dict.fromkeys(get_type_hints(results.PythonResult)) | {"displays": []}
    assert isinstance(any_result(python), PythonResult)
    assert any_result({"run_id": "r", "status": "done", "text": "", "size": 3}).run_id == "r"
