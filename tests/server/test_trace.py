"""Test the wire trace: it is exact, private to its user, bounded, and without the key of a model server."""

from __future__ import annotations

import logging
import os
import re
import resource
from pathlib import Path

import pytest
from tests.wire_check import WireCheck

from analystd.config.settings import Settings, load_settings
from analystd.server.trace import open_trace

RECORD = re.compile(rb"(in|out) (\d+)-(\d+) \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00 (\d+)\n")


def records(data: bytes) -> list[tuple[bytes, int, int, bytes]]:
    """Return the records of a trace as direction, pid, connection and bytes; the trace must have nothing else."""
    found, at = [], 0
    while at < len(data):
        head = RECORD.match(data, at)
        assert head is not None, data[at : at + 200]
        end = head.end() + int(head[4])
        assert data[end : end + 1] == b"\n"
        found.append((head[1], int(head[2]), int(head[3]), data[head.end() : end]))
        at = end + 1
    return found


def test_records_hold_the_very_bytes_whatever_they_are(tmp_path: Path) -> None:
    trace = open_trace(Settings(trace=str(tmp_path / "t")))
    assert trace is not None
    hostile = b"\xff\x00\x1b[2J\nin 1-1 2026-01-01T00:00:00.000000+00:00 2\n{}"
    first, second = trace.of_connection(1), trace.of_connection(2)
    first("in", hostile)
    second("out", b"Content-Length: 2\r\n\r\n{}")
    first("out", b"")
    trace.close()
    assert records((tmp_path / "t").read_bytes()) == [
        (b"in", os.getpid(), 1, hostile),
        (b"out", os.getpid(), 2, b"Content-Length: 2\r\n\r\n{}"),
        (b"out", os.getpid(), 1, b""),
    ]
    assert (tmp_path / "t").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("space", [b"", b" ", b"\n\t"])
def test_the_key_of_a_model_server_is_not_written(tmp_path: Path, space: bytes) -> None:
    trace = open_trace(Settings(trace=str(tmp_path / "t")))
    assert trace is not None
    trace.of_connection(1)("in", b'{"AGENT_MODEL_API_KEY":%b"s3\\"cret\\\\","b":"shown"}' % space)
    assert records((tmp_path / "t").read_bytes())[0][3] == b'{"AGENT_MODEL_API_KEY":%b"(a key)","b":"shown"}' % space


def test_a_full_trace_goes_on_in_a_new_file_and_the_oldest_goes(tmp_path: Path) -> None:
    trace = open_trace(Settings(trace=str(tmp_path / "t"), trace_max_mb=0.01))
    assert trace is not None
    for n in range(100):
        trace.of_connection(n)("in", b"x" * 1000)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t", "t.1"]
    assert all(path.stat().st_size <= 0.01 * 2**20 for path in tmp_path.iterdir())
    kept = records((tmp_path / "t.1").read_bytes()) + records((tmp_path / "t").read_bytes())
    assert [number for _, _, number, _ in kept] == list(range(100 - len(kept), 100))


def test_what_the_disk_does_not_take_is_written_later_and_no_record_is_torn(tmp_path: Path) -> None:
    trace = open_trace(Settings(trace=str(tmp_path / "t")))
    assert trace is not None
    note = trace.of_connection(1)
    note("in", b"a" * 100)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, limits[1]))
    try:
        for _ in range(5):
            note("in", b"b" * 100)
        assert (tmp_path / "t").stat().st_size == 200
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    note("in", b"c")
    assert [text for *_, text in records((tmp_path / "t").read_bytes())] == [b"a" * 100, *5 * [b"b" * 100], b"c"]


def test_a_disk_that_takes_nothing_for_long_costs_records_and_a_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trace = open_trace(Settings(trace=str(tmp_path / "t")))
    assert trace is not None
    note = trace.of_connection(1)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        for _ in range(12):
            note("in", bytes(1 << 20))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    note("in", b"lost as well")
    note("in", b"whole again")
    kept = records((tmp_path / "t").read_bytes())
    assert [len(text) for *_, text in kept] == [*8 * [1 << 20], len(b"whole again")]
    assert [record.message for record in caplog.records if record.levelno == logging.ERROR] == [
        f"the trace {tmp_path}/t cannot be written; messages are missing there from now on"
    ]


def test_a_trace_that_cannot_be_made_is_said_in_the_log_and_hinders_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "t").symlink_to(tmp_path / "elsewhere")
    assert open_trace(Settings(trace=str(tmp_path / "t"))) is None
    assert "messages are not traced (AGENT_TRACE): it is a link" in caplog.text
    assert open_trace(Settings()) is None


def test_a_trace_is_an_absolute_path_that_a_project_cannot_set(tmp_path: Path) -> None:
    loaded = load_settings({"AGENT_TRACE": "t"}, user_file=tmp_path / "none")
    assert loaded.settings.trace is None
    assert "is not an absolute path" in loaded.problems[0]
    (tmp_path / ".env").write_text(f"AGENT_TRACE={tmp_path}/t\n")
    assert load_settings({}, project=tmp_path, user_file=tmp_path / "none").settings.trace is None


def test_the_checker_of_the_wire_reads_traces(tmp_path: Path) -> None:
    trace = open_trace(Settings(trace=str(tmp_path / "1.trace")))
    assert trace is not None
    body = b'{"jsonrpc":"2.0","method":"window/showMessage","params":{"type":2,"message":"m"}}'
    trace.of_connection(1)("out", b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
    check = WireCheck(tmp_path)
    check.check()
    assert check.checked == 1
