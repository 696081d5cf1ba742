"""A load that cannot fit is refused before it starts, and nothing else is."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import psutil
import pytest

from analystd.jail.sandbox import LEVELS, Level, measure_level
from analystd.kernel.inside.load_guard import LoadGuard, most_memory
from analystd.kernel.launch import Launch
from analystd.kernel.session import KernelSession
from analystd.kernel.warm_kernel import PRELOADED, WarmKernels

from .conftest import Runner

asynchronous = pytest.mark.asyncio(loop_scope="module")

MORE_THAN_FITS = 10 * (psutil.virtual_memory().total + psutil.swap_memory().total)


@pytest.fixture(scope="module")
def huge(workspace: Path) -> Iterator[Path]:
    """A table with one row of data and a hole of many times the memory after it."""
    path = workspace / "huge.csv"
    path.write_text("open,close\n1,2\n3,4\n")
    os.truncate(path, MORE_THAN_FITS)
    (workspace / "small.csv").write_text("open,close\n1,2\n")
    yield path
    path.unlink()


@asynchronous
@pytest.mark.parametrize("call", ["read_csv('huge.csv')", "read_table('./huge.csv', sep=',')", "read_json('huge.csv')"])
async def test_a_file_of_many_times_the_memory_is_refused_at_once(run: Runner, huge: Path, call: str) -> None:
    execution = await run(f"import pandas as pd\npd.{call}")
    assert execution.error is not None
    assert (execution.status, execution.error.name, execution.error.line) == ("error", "MemoryError", 2)
    assert f"huge.csv' holds {MORE_THAN_FITS / 1e9:.1f} GB, which cannot fit into the" in execution.error.message
    assert "query the file with DuckDB" in execution.error.message
    assert not any("inside/loads" in line for line in execution.error.traceback)
    assert (await run("1 + 1")).result == "2"


@asynchronous
@pytest.mark.parametrize(
    ("code", "result"),
    [
        ("pd.read_csv('huge.csv', nrows=2).shape", "(2, 2)"),
        ("next(pd.read_csv('huge.csv', chunksize=1)).shape", "(1, 2)"),
        ("pd.read_csv('huge.csv', iterator=True).get_chunk(1).shape", "(1, 2)"),
        ("pd.read_csv('small.csv').shape", "(1, 2)"),
        ("pd.read_csv(open('small.csv')).shape", "(1, 2)"),
        ("pd.read_csv(__import__('pathlib').Path('small.csv'), encoding=None).shape", "(1, 2)"),
    ],
)
async def test_what_might_fit_is_left_to_pandas(run: Runner, huge: Path, code: str, result: str) -> None:
    execution = await run(f"import pandas as pd\n{code}")
    assert execution.result == result, execution


@asynchronous
@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("read_csv('missing.csv')", "FileNotFoundError"),
        ("read_csv()", "TypeError"),
        ("read_csv('small.csv', colour='red')", "TypeError"),
        ("read_csv(None)", "ValueError"),
        ("read_parquet('small.csv')", "ArrowInvalid"),
    ],
)
async def test_errors_are_those_of_pandas(run: Runner, huge: Path, call: str, error: str) -> None:
    execution = await run(f"import pandas as pd\npd.{call}")
    assert execution.error is not None
    assert execution.error.name == error


@asynchronous
async def test_nobody_sees_a_difference(run: Runner, huge: Path) -> None:
    code = """
import importlib, inspect, pickle, warnings
import pandas as pd
import pandas.io.parsers, pandas.io.api
same = pd.read_csv is pandas.io.parsers.read_csv is pandas.io.api.read_csv is pickle.loads(pickle.dumps(pd.read_csv))
named = pd.read_csv.__name__, list(inspect.signature(pd.read_csv).parameters)[0], "comma-separated" in pd.read_csv.__doc__
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    pd.read_csv("small.csv", sep="::")
    where = caught[0].filename
importlib.reload(pd)
try:
    pd.read_csv("huge.csv")
except MemoryError:
    reloaded = True
same, *named, "loads" in where or "pandas" in where, reloaded
"""
    execution = await run(code)
    assert execution.result == "(True, 'read_csv', 'filepath_or_buffer', True, False, True)", execution


@asynchronous
async def test_a_session_that_does_not_use_pandas_does_not_load_it(launch: Launch) -> None:
    session = KernelSession(
        "plain",
        launch.workspace,
        launch.runtime,
        launch.sandbox,
        spares=WarmKernels(launch, refill_delay_seconds=3600),
    )
    try:
        execution = await Runner(session, [], [])("import sys\n'pandas' in sys.modules")
    finally:
        await session.aclose()
    assert execution.result == "False"


@asynchronous
@pytest.mark.parametrize("level", LEVELS)
async def test_behind_walls_the_lack_of_memory_is_told_once(tmp_path: Path, level: Level) -> None:
    sandbox = await measure_level(level)
    if sandbox.level == "none":
        pytest.skip(sandbox.reason)
    (tmp_path / "workspace").mkdir()
    (tmp_path / "workspace/huge.csv").touch()
    os.truncate(tmp_path / "workspace/huge.csv", MORE_THAN_FITS)
    launch = Launch(tmp_path / "workspace", tmp_path / "runtime", sandbox)
    spares = WarmKernels(launch, refill_delay_seconds=0)
    session = KernelSession("main", launch.workspace, launch.runtime, sandbox, spares=spares)
    try:
        spares.refill()
        assert await spares.ready()
        run = Runner(session, [], [])
        execution = await run("import pandas as pd\npd.read_csv('huge.csv')", timeout_seconds=60)
    finally:
        await session.aclose()
        await spares.aclose()
    assert "pandas" in PRELOADED
    assert execution.error is not None
    assert execution.error.message.startswith("'huge.csv' holds ")
    assert "The machine has" not in execution.error.message


def test_the_size_of_parquet_is_that_of_its_row_groups_and_selected_columns(tmp_path: Path) -> None:
    path = tmp_path / "flat.parquet"
    table = pd.DataFrame({"a": [0] * 200_000, "b": [0] * 200_000})
    table.to_parquet(path, compression="zstd", row_group_size=50_000, use_dictionary=False, column_encoding="PLAIN")
    guard = LoadGuard(500_000)
    assert path.stat().st_size < 50_000
    assert "holds 0.0 GB before compression" in (guard.refusal("read_parquet", path) or "")
    assert guard.refusal("read_parquet", str(path), ["a"]) is None
    assert guard.refusal("read_parquet", path, ["none"]) is None
    assert LoadGuard(None).refusal("read_parquet", path) is None


def test_what_is_no_file_is_not_refused(tmp_path: Path) -> None:
    assert LoadGuard(1).refusal("read_csv", tmp_path) is None
    assert LoadGuard(1).refusal("read_csv", 3) is None
    assert LoadGuard(1).refusal("read_csv", sys.stdin) is None


def test_the_most_memory_is_no_more_than_the_container_has() -> None:
    assert 0 < most_memory() <= psutil.virtual_memory().total + psutil.swap_memory().total + (1 << 30)
    assert most_memory(1000) == 1000
