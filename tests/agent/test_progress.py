from __future__ import annotations

from analystd.agent.progress import is_stuck
from analystd.wire.results import Step


def step(call: str, output: str, *, ok: bool = True) -> Step:
    return {"tool": "pyexe", "arguments": {"code": call}, "ok": ok, "output": output, "seconds": 0.1}


def test_the_same_call_twice_running_leads_nowhere() -> None:
    assert is_stuck([step("a", "1"), step("b", "2"), step("b", "3")])


def test_two_calls_that_take_turns_and_give_the_same_lead_nowhere() -> None:
    there_and_back = [step("a", "1"), step("b", "2"), step("a", "1")]
    assert not is_stuck(there_and_back)
    assert is_stuck([*there_and_back, step("b", "2")])


def test_a_call_that_gives_something_new_leads_somewhere() -> None:
    assert not is_stuck([step("next", "1"), step("write", "done"), step("next", "2"), step("write", "done")])


def test_other_calls_with_the_same_failure_lead_nowhere() -> None:
    assert is_stuck([step(call, "No such file", ok=False) for call in "abc"])


def test_code_that_prints_nothing_may_go_on() -> None:
    assert not is_stuck([step(call, "(no output)") for call in "abcdef"])


def test_one_call_is_a_beginning() -> None:
    assert not is_stuck([])
    assert not is_stuck([step("a", "1")])
