from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from analystd.desk.journal import Journal
from analystd.protocol import EventKind


def write_run(journal: Journal, run_id: str, title: str = "a question") -> None:
    journal.append(
        EventKind.RUN_QUEUED, run_id, client="window", session="main", run_kind="agent", title=title, conversation="c"
    )
    journal.append(EventKind.RUN_STARTED, run_id, client="window", session="main")
    journal.append(EventKind.RUN_FINISHED, run_id, client="window", session="main", status="done", result={})


def test_numbers_go_on_after_a_restart(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    assert journal.append(EventKind.RUN_STARTED, "run_1")["seq"] == 1
    journal.close()
    journal = Journal(tmp_path)
    assert journal.append(EventKind.RUN_STARTED, "run_1")["seq"] == 2
    assert [event["seq"] for event in journal.after(0)] == [1, 2]
    journal.close()


def test_an_event_is_on_disk_when_append_returns(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    event = journal.append(EventKind.TEXT, "run_1", text="né\ud800\n")
    (line,) = next(tmp_path.glob("*.jsonl")).read_bytes().splitlines()
    assert json.loads(line) == event
    journal.close()


def test_events_of_a_run_are_found_across_segments_and_restarts(tmp_path: Path) -> None:
    journal = Journal(tmp_path, segment_bytes=400)
    for number in range(10):
        write_run(journal, f"run_{number}", f"question {number}")
    journal.close()
    assert len(list(tmp_path.glob("*.jsonl"))) > 3
    journal = Journal(tmp_path, segment_bytes=400)
    assert [event["kind"] for event in journal.of_run("run_4")] == ["run_queued", "run_started", "run_finished"]
    assert [(run["title"], run["status"]) for run in journal.runs().values()] == [
        (f"question {n}", "done") for n in range(10)
    ]
    journal.close()


def test_a_half_written_last_line_is_dropped(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(EventKind.RUN_STARTED, "run_1")
    journal.close()
    with next(tmp_path.glob("*.jsonl")).open("ab") as file:
        file.write(b'{"seq": 2, "kind": "te')
    journal = Journal(tmp_path)
    assert journal.append(EventKind.RUN_STARTED, "run_2")["seq"] == 2
    assert [event["run_id"] for event in journal.after(0)] == ["run_1", "run_2"]
    journal.close()


def test_old_segments_go_when_there_are_too_many_bytes(tmp_path: Path) -> None:
    journal = Journal(tmp_path, segment_bytes=500, keep_bytes=2000)
    for number in range(50):
        write_run(journal, f"run_{number}")
    assert sum(path.stat().st_size for path in tmp_path.glob("*.jsonl")) < 4000
    assert journal.first_seq > 1
    assert journal.seq == 150
    journal.close()


def test_segments_that_are_too_old_go(tmp_path: Path) -> None:
    journal = Journal(tmp_path, segment_bytes=300, keep_days=1)
    write_run(journal, "run_old")
    os.utime(next(tmp_path.glob("*.jsonl")), (0, 0))
    write_run(journal, "run_new")
    write_run(journal, "run_newer")
    assert "run_old" not in journal.runs()
    journal.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a device that is always full")
def test_a_full_disk_delays_events_and_loses_none(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    real = journal._descriptor
    journal._descriptor = os.open("/dev/full", os.O_WRONLY)
    journal.append(EventKind.TEXT, "run_1", text="while full")
    assert journal.unwritten == 1
    os.close(journal._descriptor)
    journal._descriptor = real
    journal.append(EventKind.TEXT, "run_1", text="after")
    assert journal.unwritten == 0
    assert [event["text"] for event in journal.after(0)] == ["while full", "after"]
    journal.close()
