"""The log file: private to its user, bounded, and not redirected by links."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from analystd.util.log_file import MAX_RECORD_BYTES, LogFile, open_log
from analystd.util.logging_setup import log_to_file


def _record(text: str) -> logging.LogRecord:
    return logging.LogRecord("test", logging.INFO, __file__, 1, "%s", (text,), None)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogFile]:
    log = LogFile(tmp_path / "agent.log", max_bytes=1000, older_files=2)
    yield log
    log.close()


@pytest.mark.parametrize("mask", [0, 0o022])
def test_the_log_and_the_folder_made_for_it_are_for_the_user_alone(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        open_log(tmp_path / "logs", "agent.log").close()
    finally:
        os.umask(before)
    assert (tmp_path / "logs").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "logs/agent.log").stat().st_mode & 0o777 == 0o600


def test_a_readable_log_is_made_private_and_a_foreign_folder_stays_unchanged(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "agent.log").touch()
    (tmp_path / "agent.log").chmod(0o644)
    open_log(tmp_path, "agent.log").close()
    assert (tmp_path / "agent.log").stat().st_mode & 0o777 == 0o600
    assert tmp_path.stat().st_mode & 0o777 == 0o755


def _link(path: Path) -> None:
    path.symlink_to(path.with_name("target"))


def _other_name(path: Path) -> None:
    path.hardlink_to(path.with_name("target"))


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))


def _folder(path: Path) -> None:
    path.mkdir()


PLANTED: list[tuple[Callable[[Path], None], str]] = [
    (_link, "it is a link"),
    (_other_name, "it has another hard link"),
    (_pipe, "No such device"),
    (_socket, "No such device"),
    (_folder, "Is a directory"),
]


@pytest.mark.parametrize(("plant", "why"), PLANTED)
def test_a_planted_log_file_is_not_written_and_the_fallback_is_used(
    tmp_path: Path, plant: Callable[[Path], None], why: str
) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/target").touch()
    plant(tmp_path / "shared/agent.log")
    before = logging.getLogger().handlers[:]
    try:
        log = log_to_file(tmp_path / "shared", fallback=tmp_path / "own")
        logging.getLogger("analystd.test").info("hello")
    finally:
        ours = logging.getLogger().handlers[:]
        logging.basicConfig(handlers=before, force=True)
        for handler in ours:
            handler.close()
        logging.raiseExceptions = True
    assert log.path == tmp_path / "own/agent.log"
    assert log.path.read_text().endswith("hello\n")
    (problem,) = log.problems
    assert why in problem
    assert str(log.path) in problem
    assert (tmp_path / "shared/target").read_text() == ""


def test_the_files_stay_bounded(log: LogFile) -> None:
    for number in range(500):
        log.emit(_record(f"line {number}"))
    sizes = {path.name: path.stat().st_size for path in log.path.parent.iterdir()}
    assert sorted(sizes) == ["agent.log", "agent.log.1", "agent.log.2"]
    assert max(sizes.values()) <= 1000
    assert log.path.read_text().endswith("line 499\n")


def test_files_that_cannot_be_renamed_do_not_let_the_log_grow(log: LogFile) -> None:
    (log.path.with_name("agent.log.1") / "below").mkdir(parents=True)
    (log.path.with_name("agent.log.2") / "below").mkdir(parents=True)
    for number in range(500):
        log.emit(_record(f"line {number}"))
    assert log.path.stat().st_size <= 1000


def test_one_record_is_bounded(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "agent.log")
    log.emit(_record("é" * MAX_RECORD_BYTES))
    log.close()
    content = (tmp_path / "agent.log").read_bytes()
    assert len(content) < MAX_RECORD_BYTES + 100
    assert b"bytes more)" in content.decode().encode()


def test_a_removed_log_is_created_again(log: LogFile) -> None:
    log.path.unlink()
    time.sleep(1.1)
    log.emit(_record("hello"))
    assert log.path.read_text() == "hello\n"
    assert log.path.stat().st_mode & 0o777 == 0o600
