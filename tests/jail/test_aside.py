"""What may take long is waited for as long as one can afford, and found later."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from itertools import count
from pathlib import Path

import pytest

from analystd.jail import aside, limits
from analystd.jail.aside import Aside
from analystd.jail.limits import SessionLimits, Watched
from analystd.jail.resource_usage import memory
from analystd.jail.workspace import Workspace

from .test_limits import program


class Held:
    """A measurement that is kept back until it is let go, as the system does with a process that is forking."""

    def __init__(self, result: int = 7) -> None:
        self.may_end = threading.Event()
        self.asked: list[Sequence[int]] = []
        self.result = result

    def __call__(self, pids: Sequence[int]) -> int:
        self.asked.append(pids)
        assert self.may_end.wait(30)
        return self.result


def test_a_result_in_time_is_returned() -> None:
    numbers = count(1)
    one = Aside(lambda pids: (next(numbers), pids))
    assert one.ask([1], 10) == (1, [1])
    assert one.ask([1, 2], None) == (2, [1, 2])
    assert one.late_seconds == 0


def test_a_later_call_collects_a_late_result_without_a_second_measurement() -> None:
    held = Held()
    one = Aside(held)
    assert one.ask([1], 0.01) is None
    assert one.ask([2], 0.01) is None
    assert one.late_seconds >= 0.02
    held.may_end.set()
    assert one.ask([3], 10) == 7
    assert held.asked == [[1]]
    assert one.late_seconds == 0


def test_a_late_result_that_nobody_came_for_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held()
    measured = Aside(held)
    assert measured.ask([1], 0.01) is None
    held.may_end.set()
    time.sleep(0.2)
    monkeypatch.setattr(aside, "_FRESH_SECONDS", 0.1)
    assert measured.ask([2], 10) == 7
    assert held.asked == [[1], [2]]


def test_who_waits_without_end_gets_nothing_that_began_before() -> None:
    held = Held()
    one = Aside(held)
    assert one.ask([1], 0.01) is None
    held.may_end.set()
    assert one.ask([2], None) == 7
    assert held.asked == [[1], [2]]


def test_an_error_reaches_who_asks_and_the_next_call_begins_anew() -> None:
    outcomes = iter([OSError("no"), None])

    def measure(pids: Sequence[int]) -> int:
        if (error := next(outcomes)) is not None:
            raise error
        return len(pids)

    one = Aside(measure)
    with pytest.raises(OSError, match="no"):
        one.ask([1], 10)
    assert one.ask([1], 10) == 1


def test_a_check_finds_too_many_processes_while_their_memory_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held()
    monkeypatch.setattr(limits, "proportional_bytes", held)
    monkeypatch.setattr(limits, "held_files", lambda pids, _device: held(pids))
    workspace = Workspace(tmp_path, min_free_ram_percent=0.0)
    some = SessionLimits(min_free_disk_gb=0.0, memory_percent=100 * 60e6 / memory().total, processes=5)
    code = (
        "import os, sys\nx = bytearray(50_000_000)\n"
        "for _ in range({}):\n    if os.fork() == 0: sys.stdin.read(); os._exit(0)\n"
    )
    with program(code.format(3), tmp_path) as pid:
        watched = Watched(pid, workspace, some)
        assert watched.look(patience_seconds=0.01).breaches == ()
        # Whoever keeps it back for long does not get around the limit: the sum that counts shared pages for each is believed.
        monkeypatch.setattr(limits, "_UNKNOWN_SECONDS", 0.0)
        assert [breach.limit for breach in watched.look(patience_seconds=0.01).breaches] == ["memory"]
    with program(code.format(20), tmp_path) as pid:
        look = Watched(pid, workspace, some).look(patience_seconds=0.01)
        assert [breach.message for breach in look.breaches] == [
            "The session has 10 or more processes; its limit is 5. Start fewer at a time"
        ]
    held.may_end.set()
