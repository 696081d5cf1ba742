"""Files in folders that are deleted with the session are reported once each, whether the workspace is outside of such a folder or in it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from analystd.jail.sandbox import measure_level
from analystd.kernel.base import Execution
from analystd.kernel.inside.temporary import TemporaryFiles
from analystd.kernel.session import KernelSession

from .conftest import ignore_output


@pytest.fixture
def private(tmp_path: Path) -> Path:
    (tmp_path / "private").mkdir()
    return Path(os.path.realpath(tmp_path / "private"))


def files_of(private: Path, workspace: Path) -> TemporaryFiles:
    return TemporaryFiles(str(workspace), [str(private)])


def test_a_file_is_told_once_with_its_size(private: Path, tmp_path: Path) -> None:
    (private / "before").write_text("x")
    files = files_of(private, tmp_path / "workspace")
    assert files.news() is None
    (private / "out.csv").write_text("a,b\n")
    told = f"[{private} is private to the session and is deleted with it: {private}/out.csv (4 bytes). Write into the workspace to keep it.]"
    assert files.news() == told
    (private / "out.csv").write_text("a,b\n1,2\n")
    assert files.news() is None


def test_a_folder_is_told_once_there_is_a_file_in_it(private: Path, tmp_path: Path) -> None:
    files = files_of(private, tmp_path / "workspace")
    (private / "results/deep").mkdir(parents=True)
    os.mkfifo(private / "results/pipe")
    os.mkfifo(private / "pipe")
    (private / "results/pipe").unlink()
    assert files.news() is None
    (private / "results/deep/out.bin").write_bytes(bytes(2_500))
    assert f"{private}/results/ (1 file, 2.5 kB)" in str(files.news())
    assert files.news() is None


def test_many_files_are_told_in_one_sentence(private: Path, tmp_path: Path) -> None:
    files = files_of(private, tmp_path / "workspace")
    for number in range(12):
        (private / f"{number:02}.txt").write_text("")
    told = str(files.news())
    assert told.count(" bytes)") == 5
    assert "and 7 more. Write into the workspace to keep them.]" in told


def test_folders_on_the_way_to_the_workspace_are_watched_but_not_the_workspace(private: Path) -> None:
    workspace = private / "project/deep/workspace"
    workspace.mkdir(parents=True)
    files = files_of(private, workspace)
    (workspace / "kept.csv").write_text("x")
    assert files.news() is None
    (workspace.parent / "beside.csv").write_text("x")
    (private / "project/above.csv").write_text("x")
    told = str(files.news())
    assert f"{private}/project/deep/beside.csv (1 bytes)" in told
    assert f"{private}/project/above.csv (1 bytes)" in told


def test_what_libraries_share_is_not_told(private: Path, tmp_path: Path) -> None:
    files = files_of(private, tmp_path / "workspace")
    for name in ("sem.x", "psm_1234", "joblib_memmapping_folder_1"):
        (private / name).write_text("x")
    assert files.news() is None


@pytest_asyncio.fixture
async def jailed(tmp_path: Path) -> AsyncIterator[KernelSession]:
    sandbox = await measure_level("full")
    if sandbox.level == "none":
        pytest.skip(sandbox.reason)
    for name in ("workspace", "runtime"):
        (tmp_path / name).mkdir()
    session = KernelSession("main", tmp_path / "workspace", tmp_path / "runtime", sandbox)
    yield session
    await session.aclose()


async def run(session: KernelSession, code: str) -> Execution:
    return await session.execute(code, timeout_seconds=60, on_output=ignore_output)


@pytest.mark.asyncio
async def test_code_in_the_jail_is_told_of_what_it_leaves_in_tmp(jailed: KernelSession, tmp_path: Path) -> None:
    assert (
        await run(jailed, "import numpy, pandas, tempfile, multiprocessing as mp\nmp.Pool(1).map(abs, [1])")
    ).stderr == ""
    execution = await run(jailed, "open('/tmp/hb_result.csv', 'w').write('a\\n1\\n'); print('written')")
    told = "[/tmp is private to the session and is deleted with it: /tmp/hb_result.csv (4 bytes). Write into the workspace to keep it.]\n"
    assert (execution.stdout, execution.stderr) == ("written\n", told)
    execution = await run(jailed, "open('../up.csv', 'w').write('x'); 1 / 0")
    assert execution.status == "error"
    if str(tmp_path).startswith("/tmp/"):
        assert f"{tmp_path}/up.csv (1 bytes)" in execution.stderr
    assert (await run(jailed, "1")).stderr == ""
