"""What the walls refuse is explained where they are to blame, and nowhere else."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from analystd.jail.sandbox import LEVELS, Level, measure_level
from analystd.kernel.base import Execution, RaisedError
from analystd.kernel.launch import Launch
from analystd.kernel.session import KernelSession
from analystd.kernel.warm_kernel import WarmKernels

from .conftest import Runner

pytestmark = pytest.mark.asyncio(loop_scope="module")

NO_NETWORK = "This session has no network: "
OUTSIDE = "is outside of the workspace"
READ_ONLY = "is read-only: "


@dataclass
class Jailed(Runner):
    """A session behind walls, with a folder that may be read and one that may not."""

    level: Level
    lake: Path
    outside: Path

    async def error(self, code: str) -> RaisedError:
        execution = await self(code.format(lake=self.lake, outside=self.outside), timeout_seconds=60)
        assert execution.error is not None, execution
        return execution.error


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=LEVELS)
async def jailed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Jailed]:
    level: Level = request.param
    sandbox = await measure_level(level)
    if sandbox.level == "none":
        pytest.skip(sandbox.reason)
    base = tmp_path_factory.mktemp("base")
    for name in ("workspace", "runtime", "lake", "outside"):
        (base / name).mkdir()
    for name in ("lake", "outside"):
        (base / name / "bars.csv").write_text("open\n")
    (base / "workspace/way-out").symlink_to(base / "outside")
    (base / "workspace/.git/hooks").mkdir(parents=True)
    (base / "workspace/mine.csv").write_text("open\n")
    sealed = (base / "workspace/.git",) if level == "full" else ()
    launch = Launch(base / "workspace", base / "runtime", sandbox, (base / "lake",), sealed=sealed)
    session = KernelSession(
        "main",
        launch.workspace,
        launch.runtime,
        sandbox,
        read_only_paths=launch.read_only_paths,
        spares=WarmKernels(launch, refill_delay_seconds=3600),
    )
    yield Jailed(session, [], [], level, base / "lake", base / "outside")
    await session.aclose()


@pytest.mark.parametrize(
    "code",
    [
        "import socket; socket.create_connection(('93.184.215.14', 80), timeout=5)",
        "import socket; socket.getaddrinfo('example.com', 443)",
        "import socket; socket.create_connection(('127.0.0.1', 9), timeout=5)",
        "import urllib.request; urllib.request.urlopen('https://example.com', timeout=5)",
        "import httpx; httpx.get('https://example.com')",
        "import httpx\ntry:\n    httpx.get('http://93.184.215.14')\nexcept Exception as exc:\n    raise RuntimeError('no rates') from exc",
        "import pandas as pd; pd.read_csv('https://example.com/bars.csv')",
        "import subprocess, sys; subprocess.run([sys.executable, '-m', 'pip', 'install', 'no-such-thing'], check=True)",
        "raise ExceptionGroup('both', [ValueError(1), OSError(101, 'Network is unreachable')])",
    ],
)
async def test_a_missing_network_is_explained_with_a_remedy(jailed: Jailed, code: str) -> None:
    error = await jailed.error(code)
    assert error.message.count(NO_NETWORK) == 1
    assert error.message.endswith("or set AGENT_PYTHON to another interpreter.")
    assert error.traceback[-1].startswith(NO_NETWORK)


async def test_the_errors_of_requests_are_seen_through(jailed: Jailed) -> None:
    code = """
class RequestsError(OSError): ...
RequestsError.__module__ = "requests.exceptions"
class PoolError(Exception): ...
PoolError.__module__ = "urllib3.exceptions"
import socket
try:
    try:
        socket.getaddrinfo("example.com", 443)
    except OSError as exc:
        raise PoolError("retries") from exc
except PoolError:
    raise RequestsError("HTTPSConnectionPool")
"""
    assert NO_NETWORK in (await jailed.error(code.replace("{", "{{"))).message


@pytest.mark.parametrize(
    "code",
    [
        "open('.git/config', 'w')",
        "import pathlib; pathlib.Path('.git/hooks/new/one').mkdir(parents=True)",
        "import os; os.rename('.git', 'git')",
        "import os; os.rename('mine.csv', '.git/config')",
        "import os; os.link('mine.csv', '.git/hooks/pre-commit')",
        "import pandas as pd; pd.DataFrame().to_csv('.git/a.csv')",
    ],
)
async def test_errors_for_sealed_files_are_explained(jailed: Jailed, code: str) -> None:
    if jailed.level != "full":
        pytest.skip("only level full has seals")
    message = (await jailed.error(code)).message
    assert message.count("tools outside of the session's sandbox execute or trust files in '.git'") == 1


async def test_a_missing_folder_beside_a_seal_is_not_blamed_on_the_seal(jailed: Jailed) -> None:
    assert "sandbox" not in (await jailed.error("open('none/here', 'w')")).message
    assert "sandbox" not in (await jailed.error("open('.git/none')")).message


@pytest.mark.parametrize("code", ["%pip install no-such-thing", "!pip install -q no-such-thing"])
async def test_an_install_that_fails_is_explained_below_its_output(jailed: Jailed, code: str) -> None:
    execution = await jailed(code, timeout_seconds=60)
    assert NO_NETWORK in execution.stderr


@pytest.mark.parametrize(
    "code",
    [
        "open('{outside}/bars.csv')",
        "open('{outside}/new.csv', 'w')",
        "open('way-out/bars.csv')",
        "import os; os.listdir('{outside}')",
        "import os; open('mine', 'w').close(); os.rename('mine', '{outside}/mine')",
        "import pandas as pd; pd.read_csv('{outside}/bars.csv')",
        "import pyarrow.parquet as pq; pq.read_table('{outside}/bars.csv')",
        "import pathlib; pathlib.Path('{outside}/bars.csv').read_text()",
        "open('/etc/shadow')",
    ],
)
async def test_a_path_outside_is_explained_and_the_setting_named(jailed: Jailed, code: str) -> None:
    error = await jailed.error(code)
    if jailed.level == "partial" and error.name == "FileNotFoundError" and OUTSIDE not in error.message:
        pytest.skip("here it can be seen that there is no such file")
    assert error.message.count(OUTSIDE) == 1
    assert error.message.endswith("read only the folders in the setting AGENT_READ_ONLY_PATHS.")
    assert error.traceback[-1].endswith("read only the folders in the setting AGENT_READ_ONLY_PATHS.")


@pytest.mark.parametrize("code", ["open('{lake}/new.csv', 'w')", "open('{lake}/bars.csv', 'a')", "open('/usr/x', 'w')"])
async def test_a_write_to_what_may_be_read_is_explained(jailed: Jailed, code: str) -> None:
    assert READ_ONLY in (await jailed.error(code)).message


async def test_a_lack_of_memory_is_explained(jailed: Jailed) -> None:
    error = await jailed.error("bytearray(1 << 62)")
    assert (error.name, error.message[:16]) == ("MemoryError", "The machine has ")
    assert "GB of memory in total" in (await jailed.error("import numpy; numpy.zeros(1 << 59)")).message


@pytest.mark.parametrize(
    "code",
    [
        "open('missing.csv')",
        "open('{lake}/missing.csv')",
        "open('/usr/lib/missing')",
        "open('/proc/missing')",
        "import os; os.rmdir('.local'); os.mkdir('.')",
        "import os; open('closed', 'w').close(); os.mkdir('closed/in')",
        "import subprocess; subprocess.run(['no-such-program'])",
        "import subprocess; subprocess.run(['pip', 'install', '--help'], check=True); 1 / 0",
        "import subprocess; subprocess.run(['false'], check=True)",
        "raise FileNotFoundError('no bars')",
        "raise OSError",
        "raise ValueError('/etc/shadow')",
        "import httpx\ntry:\n    httpx.get('http://93.184.215.14')\nexcept Exception:\n    1 / 0",
        "try:\n    open('{outside}/bars.csv')\nexcept OSError:\n    1 / 0",
        "import os; os.kill(os.getpid(), 999)",
        "import json; json.loads('')",
        "exit_code = !false\nraise RuntimeError('pip install failed')",
    ],
)
async def test_what_the_walls_have_nothing_to_do_with_is_left_alone(jailed: Jailed, code: str) -> None:
    error = await jailed.error(code)
    text = error.message + "\n".join(error.traceback)
    assert not any(words in text for words in (NO_NETWORK, OUTSIDE, READ_ONLY, "AGENT_", "GB of memory"))


async def test_an_exception_that_lies_about_itself_does_no_harm(jailed: Jailed) -> None:
    code = """
class Liar(OSError):
    def __getattribute__(self, name):
        raise RuntimeError(name)
raise Liar(2, "x", "/etc/shadow")
"""
    execution = await jailed(code)
    assert execution.status == "error"
    assert (await jailed("1 + 1")).result == "2"


async def test_a_server_of_its_own_can_be_reached_where_there_is_a_network_of_its_own(jailed: Jailed) -> None:
    code = (
        "import socket\nserver = socket.create_server(('127.0.0.1', 0))\nsocket.create_connection(server.getsockname())"
    )
    execution = await jailed(code)
    assert (execution.error is None) == (jailed.level == "full")


async def test_without_walls_nothing_is_explained(run: Runner) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert NO_NETWORK not in _message(await run(f"import socket; socket.create_connection(('127.0.0.1', {port}))"))
    assert OUTSIDE not in _message(await run("open('/nowhere/bars.csv')"))


def _message(execution: Execution) -> str:
    assert execution.error is not None
    return execution.error.message
