"""Reading a small file is bounded, whatever is at its path."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import pytest

from analystd.util.small_files import NotSmallError, read_small


def test_a_small_file_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 1000)
    assert read_small(tmp_path / "a", 1000) == b"x" * 1000


def test_a_file_over_the_limit_is_rejected_without_using_memory(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    path.touch()
    os.truncate(path, 1_500_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(NotSmallError, match="it holds more than 1024 KiB"):
            read_small(path)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_a_pipe_a_device_or_a_folder_is_rejected_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(OSError, match=r"regular file|directory"):
            read_small(path)
