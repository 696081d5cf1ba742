from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from analystd.data.positioned_file import PositionedFile


@pytest.fixture(scope="session")
def open_bytes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., PositionedFile]]:
    """Makes an open file of bytes, its name `x.csv` unless another is given."""
    path = tmp_path_factory.mktemp("files") / "content"
    opened: list[int] = []

    def open_file(content: bytes, name: str = "x.csv") -> PositionedFile:
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        while len(opened) > 10:
            os.close(opened.pop(0))
        opened.append(os.open(path, os.O_RDONLY))
        return PositionedFile.of_descriptor(name, opened[-1])

    yield open_file
    for descriptor in opened:
        os.close(descriptor)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty workspace."""
    path = tmp_path / "workspace"
    path.mkdir()
    return path
