from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio

from analystd.jail.sandbox import Policy, Sandbox
from analystd.kernel.base import Execution, Output
from analystd.kernel.launch import Launch
from analystd.kernel.session import KernelSession
from analystd.kernel.warm_kernel import WarmKernels


def ignore_output(output: Output) -> None:
    """For code whose output a test does not need."""


class OpenSandbox(Sandbox):
    """No walls at all: what is tested here is the kernel."""

    def command(self, argv: Sequence[str], policy: Policy) -> list[str]:
        return list(argv)

    def environment(self, policy: Policy) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(policy.workspace),
            "TMPDIR": str(policy.workspace),
            "IPYTHONDIR": str(policy.runtime / "ipython"),
            "MPLCONFIGDIR": str(policy.runtime / "matplotlib"),
        }


@dataclass
class Runner:
    """A session, and everything that it streamed in the last run."""

    session: KernelSession
    background: list[Output]
    outputs: list[Output]
    late: dict[str, list[Output]] = field(default_factory=lambda: defaultdict(list), kw_only=True)
    """What came after the end of each code, by its last line."""

    async def __call__(self, code: str, timeout_seconds: float = 30) -> Execution:
        self.outputs.clear()
        return await self.session.execute(
            code,
            timeout_seconds=timeout_seconds,
            on_output=self.outputs.append,
            on_late_output=lambda output: self.late[code.splitlines()[-1]].append(output),
        )

    async def late_text(self, line: str, awaited: str) -> str:
        """What came after the end of the code with that last line, once it has `awaited` in it."""
        async with asyncio.timeout(10):
            while awaited not in (text := "".join(output.text for output in self.late[line])):
                await asyncio.sleep(0.01)
        return text


@pytest.fixture(scope="module")
def launch(tmp_path_factory: pytest.TempPathFactory) -> Launch:
    workspace = tmp_path_factory.mktemp("workspace")
    return Launch(workspace, tmp_path_factory.mktemp("runtime"), OpenSandbox("none", "for tests"))


@pytest.fixture(scope="module")
def workspace(launch: Launch) -> Path:
    return launch.workspace


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def run(launch: Launch) -> AsyncIterator[Runner]:
    """Runs code in a session that the tests of a module share; it has no spare unless a test waits for one."""
    background: list[Output] = []
    session = KernelSession(
        "main",
        launch.workspace,
        launch.runtime,
        launch.sandbox,
        spares=WarmKernels(launch, refill_delay_seconds=3600),
        grace_seconds=1.5,
        on_background_output=background.append,
    )
    yield Runner(session, background, [])
    await session.aclose()
