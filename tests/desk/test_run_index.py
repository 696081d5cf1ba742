from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.desk.test_journal import full_disk, needs_full, write_run

from analystd.desk.journal import Journal
from analystd.wire.events import RunSummary
from analystd.wire.names import EventKind

SEGMENT = 600


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """Yield a journal of several segments, with ten runs that have ended and one that has not."""
    journal = Journal(tmp_path / "journal", segment_bytes=SEGMENT)
    for number in range(10):
        write_run(journal, f"run_{number}", f"question {number}")
    journal.append(EventKind.RUN_QUEUED, "run_open", client="window", client_id="w", session=None, run_kind="write")
    yield journal
    journal.close()


def index_of(journal: Journal) -> Path:
    return journal.folder / "runs.sqlite"


def ids(runs: list[RunSummary]) -> list[str]:
    return [run["run_id"] for run in runs]


def killed(journal: Journal) -> Path:
    """Return a copy of the files that a daemon would leave if it were killed now."""
    return Path(shutil.copytree(journal.folder, journal.folder.with_name("killed")))


def opened(folder: Path) -> list[RunSummary]:
    """Return all runs of the journal in a folder after opening it."""
    journal = Journal(folder, segment_bytes=SEGMENT)
    runs = journal.runs.latest(100)
    journal.close()
    return runs


def test_runs_are_found_by_id_by_conversation_and_by_their_order(journal: Journal) -> None:
    assert ids(journal.runs.latest(3)) == ["run_open", "run_9", "run_8"]
    assert ids(journal.runs.of_conversation("c")) == [f"run_{number}" for number in range(10)]
    assert journal.runs.of_conversation("d") == []
    assert ids(journal.runs.under_way()) == ["run_open"]
    assert journal.runs.get("run_11") is None
    run = journal.runs.get("run_4")
    assert run is not None
    assert (run["title"], run["status"], run["kind"], run["client"]) == ("question 4", "done", "agent", "window")


def test_a_closed_index_knows_nothing_and_leaves_the_file_alone(journal: Journal) -> None:
    journal.close()
    assert journal.runs.get("run_4") is None
    assert journal.runs.latest(5) == []
    assert len(opened(journal.folder)) == 11


def test_a_copy_of_a_segment_is_no_part_of_the_journal(journal: Journal) -> None:
    before = journal.runs.latest(100)
    journal.close()
    first = min(journal.folder.glob("*.jsonl"))
    shutil.copy(first, first.with_name(f"{first.stem} (copy).jsonl"))
    assert opened(journal.folder) == before


def test_half_a_surrogate_pair_is_an_id_like_any_other(journal: Journal) -> None:
    run = {"client": "\ud800", "client_id": "w", "session": None, "run_kind": "agent"}
    journal.append(EventKind.RUN_QUEUED, "run_\udfff", conversation="\ud800", title="\udfff", **run)
    assert ids(journal.runs.of_conversation("\ud800")) == ["run_\udfff"]
    assert journal.runs.get("run_\udfff") == journal.runs.latest(1)[0]
    assert opened(killed(journal)) == journal.runs.latest(100)


def test_a_run_runs_from_its_first_event_to_its_last(journal: Journal) -> None:
    assert journal.runs.spans(["run_1", "no run", "run_open"]) == [(4, 6), (31, None)]


def test_what_is_given_does_not_change_when_the_run_goes_on(journal: Journal) -> None:
    before = journal.runs.get("run_open")
    journal.append(EventKind.RUN_STARTED, "run_open")
    assert before is not None
    assert before["status"] == "queued"
    assert [run["status"] for run in journal.runs.under_way()] == ["running"]


def test_what_a_killed_daemon_knew_is_known_to_the_next(journal: Journal) -> None:
    assert opened(killed(journal)) == journal.runs.latest(100)


def test_what_the_journal_tells_beyond_the_index_is_taken_in(journal: Journal) -> None:
    # An old index beside the current journal.
    old = index_of(journal).read_bytes(), index_of(journal).with_name("runs.sqlite-wal").read_bytes()
    for number in range(11, 15):
        write_run(journal, f"run_{number}")
    journal.append(EventKind.RUN_FINISHED, "run_open", status="done", result={})
    folder = killed(journal)
    (folder / "runs.sqlite").write_bytes(old[0])
    (folder / "runs.sqlite-wal").write_bytes(old[1])
    assert opened(folder) == journal.runs.latest(100)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda path: path.unlink(), id="missing"),
        pytest.param(lambda path: path.write_bytes(b""), id="empty"),
        pytest.param(lambda path: path.write_bytes(b"no database at all" * 1000), id="no database"),
        pytest.param(lambda path: path.write_bytes(path.read_bytes()[:5000]), id="cut short"),
        pytest.param(lambda path: path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 20_000), id="spoilt"),
    ],
)
def test_an_index_that_is_of_no_use_is_made_anew(journal: Journal, damage: object) -> None:
    before = journal.runs.latest(100)
    journal.close()
    assert callable(damage)
    damage(index_of(journal))
    assert opened(journal.folder) == before
    with closing(sqlite3.connect(index_of(journal))) as db:
        assert db.execute("SELECT count(*) FROM runs").fetchone() == (11,)


def test_an_index_that_is_ahead_of_its_journal_is_made_anew(journal: Journal) -> None:
    journal.close()
    for path in sorted(journal.folder.glob("*.jsonl"))[1:]:
        path.unlink()
    assert ids(opened(journal.folder)) == ["run_1", "run_0"]


def test_a_file_that_is_spoilt_under_way_is_done_without(journal: Journal) -> None:
    before = journal.runs.latest(100)
    journal.runs._db.close()
    journal.runs._db = sqlite3.connect(":memory:")
    assert journal.runs.latest(100) == before
    write_run(journal, "run_new")
    assert ids(journal.runs.latest(2)) == ["run_new", "run_open"]
    journal.close()
    assert ids(opened(journal.folder))[:2] == ["run_new", "run_open"]


def test_somebody_who_has_the_file_open_does_not_hold_up_the_desk(journal: Journal) -> None:
    before = journal.runs.latest(100)
    journal.close()
    with closing(sqlite3.connect(index_of(journal))) as db:
        db.execute("BEGIN EXCLUSIVE")
        assert opened(journal.folder) == before


def test_where_no_file_can_be_made_the_index_is_in_memory(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    before = journal.runs.latest(100)
    journal.close()
    index_of(journal).unlink()
    index_of(journal).mkdir()
    assert opened(journal.folder) == before


@needs_full
async def test_runs_are_known_while_the_disk_takes_none_of_their_events(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    write_run(journal, "run_1")
    journal.append(EventKind.RUN_QUEUED, "run_open", conversation=None)
    with full_disk(journal):
        write_run(journal, "run_full")
        journal.append(EventKind.RUN_FINISHED, "run_open", status="cancelled", result={})
        assert ids(journal.runs.latest(2)) == ["run_full", "run_open"]
        assert [run["status"] for run in journal.runs.latest(2)] == ["done", "cancelled"]
        assert journal.runs.under_way() == []
        assert ids(journal.runs.of_conversation("c")) == ["run_1", "run_full"]
        assert (await journal.of_run("run_full")).events == ()
        # The events that a killed daemon could not write are lost.
        assert ids(opened(killed(journal))) == ["run_open", "run_1"]
    journal.flush()
    assert len((await journal.of_run("run_full")).events) == 3
    before = journal.runs.latest(100)
    journal.close()
    assert opened(journal.folder) == before


def test_what_the_file_does_not_take_waits_for_the_next_time(journal: Journal) -> None:
    journal.runs._db.execute("PRAGMA query_only = ON")
    write_run(journal, "run_new")
    assert ids(journal.runs.latest(2)) == ["run_new", "run_open"]
    journal.runs._db.execute("PRAGMA query_only = OFF")
    write_run(journal, "run_newer")
    journal.close()
    assert ids(opened(journal.folder))[:3] == ["run_newer", "run_new", "run_open"]


def test_a_run_whose_beginning_is_gone_is_told_by_what_is_left(tmp_path: Path) -> None:
    events = [
        {
            "seq": 7,
            "run_id": "run_1",
            "kind": "run_finished",
            "at": 9.0,
            "client": "a",
            "session": "s",
            "status": "done",
        }
    ]
    (tmp_path / "000000000007.jsonl").write_text("".join(json.dumps(e, separators=(",", ":")) + "\n" for e in events))
    (run,) = opened(tmp_path)
    assert (run["run_id"], run["status"], run["title"], run["client"]) == ("run_1", "done", "", "a")


def test_an_earlier_versions_indexes_are_removed(tmp_path: Path) -> None:
    (tmp_path / "000000000001.index.json").write_text("{}")
    opened(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000000000001.jsonl", "runs.sqlite"]
