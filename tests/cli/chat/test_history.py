"""The file that keeps what was asked."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from analystd.cli.chat.history import MAX_BYTES, MAX_ENTRIES, MAX_ENTRY_BYTES, HistoryFile


def test_only_the_owner_can_read_the_stored_questions(tmp_path: Path) -> None:
    path = tmp_path / "state" / "history"
    for question in ("one", "two\nlines", "\x1b[2J\u2028"):
        HistoryFile(path).add(question)
    assert HistoryFile(path).load() == ["one", "two\nlines", "\x1b[2J\u2028"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_file_is_bounded_by_questions_and_by_bytes(tmp_path: Path) -> None:
    path = tmp_path / "history"
    history = HistoryFile(path)
    for number in range(MAX_ENTRIES + 5):
        history.add(str(number))
    assert history.load() == [str(number) for number in range(5, MAX_ENTRIES + 5)]
    assert len(path.read_bytes().splitlines()) == MAX_ENTRIES
    history.add("x" * MAX_ENTRY_BYTES)
    assert len(path.read_bytes().splitlines()) == MAX_ENTRIES
    long = "y" * (MAX_ENTRY_BYTES - 10)
    for _ in range(MAX_BYTES // len(long) + 5):
        history.add(long)
    kept = history.load()
    assert set(kept) == {long}
    assert path.stat().st_size <= MAX_BYTES
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_invalid_lines_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "history"
    path.write_bytes(b'"good"\n\xff\xfe\n{"a": 1}\n' + b"[" * 5000 + b'\n"also good"\n')
    assert HistoryFile(path).load() == ["good", "also good"]


def test_a_link_and_a_pipe_in_its_place_are_not_used(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text('"mine"\n')
    link = tmp_path / "link"
    link.symlink_to(victim)
    HistoryFile(link).add("question")
    assert HistoryFile(link).load() == []
    assert victim.read_text() == '"mine"\n'
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    HistoryFile(pipe).add("question")
    assert HistoryFile(pipe).load() == []
