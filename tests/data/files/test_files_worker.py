"""The file tools in the sandboxed worker."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from analystd.data.worker_client import DataWorker
from analystd.jail.live_seals import missing_seals
from analystd.jail.quarantine import Quarantine
from analystd.jail.sandbox import measure_sandbox
from analystd.jail.trusted_paths import TrustedPaths
from analystd.jail.workspace import Workspace
from analystd.wire.errors import InvalidArgumentsError, WorkspaceError

pytestmark = pytest.mark.slow


@pytest.fixture
async def data(folder: Path, tmp_path: Path) -> AsyncIterator[DataWorker]:
    (tmp_path / "runtime").mkdir()
    sandbox = await measure_sandbox("auto")
    worker = DataWorker(Workspace(folder, max_gb=0.01, min_free_ram_percent=0), sandbox, tmp_path / "runtime")
    yield worker
    await worker.aclose()


async def test_ranges_encodings_and_single_files_come_through(data: DataWorker, folder: Path) -> None:
    (folder / "old.txt").write_bytes(b"caf\xe9\nth\xe9\n")
    read = await data.read_file("old.txt", byte_offset=5)
    assert (read["text"], read["encoding"], read["bytes"], read["lines"]) == ("thé\n", "windows-1252", 4, None)
    assert (await data.read_file("old.txt", offset=2))["byte_offset"] == 5
    assert [entry["name"] for entry in (await data.list_files("old.txt"))["entries"]] == ["old.txt"]
    with pytest.raises(InvalidArgumentsError):
        await data.read_file("old.txt", offset=1, byte_offset=1)


async def test_a_hard_link_is_read_and_its_name_written_anew(data: DataWorker, folder: Path) -> None:
    (folder / "a.txt").write_text("old")
    os.link(folder / "a.txt", folder / "b.txt")
    assert (await data.read_file("b.txt"))["text"] == "old"
    await data.write_file("b.txt", "new")
    assert ((folder / "a.txt").read_text(), (folder / "b.txt").read_text()) == ("old", "new")


async def test_a_pipe_blocks_no_request(data: DataWorker, folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    async with asyncio.timeout(20):
        with pytest.raises(WorkspaceError, match="is a named pipe"):
            await data.read_file("pipe")
        with pytest.raises(WorkspaceError, match="is a named pipe"):
            await data.write_file("pipe", "text")


async def test_a_name_that_is_not_utf_8_is_read_and_an_impossible_name_is_refused(
    data: DataWorker, folder: Path
) -> None:
    name = os.fsdecode(b"caf\xe9.txt")
    (folder / name).write_text("bars")
    assert (await data.read_file(name))["text"] == "bars"
    with pytest.raises(WorkspaceError, match="not valid UTF-8"):
        await data.read_file("caf\ud800.txt")
    assert (await data.list_files("."))["entries"][0]["name"] == "caf\\xe9.txt"


async def test_paths_that_outside_tools_trust_are_sealed_in_the_worker(tmp_path: Path) -> None:
    sandbox = await measure_sandbox("auto")
    if sandbox.level != "full":
        pytest.skip("only level full has seals")
    root = tmp_path / "workspace"
    (root / ".git").mkdir(parents=True)
    (tmp_path / "runtime").mkdir()
    workspace = Workspace(root, min_free_ram_percent=0)
    quarantine = Quarantine(root, tmp_path / "quarantine")
    trusted = workspace.trusted_paths = TrustedPaths(root, workspace.trusted_names, quarantine, tmp_path / "record")
    worker = DataWorker(workspace, sandbox, tmp_path / "runtime")
    await worker.list_files(".")
    assert worker.pid is not None
    assert missing_seals(worker.pid, root, [".git", "other"]) == ["other"]
    # The files that a hostile worker made are found after it ended.
    (root / ".vscode").mkdir()
    await worker.aclose()
    assert [item.path for entry in trusted.quarantine.entries() for item in entry.items] == [".vscode"]
