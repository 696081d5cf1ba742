"""A jail to run things in, at each level that this machine offers."""

from __future__ import annotations

import asyncio
import functools
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from analystd.jail.sandbox import LEVELS, Level, Policy, Sandbox, measure_level


@functools.cache
def offered(level: Level) -> Sandbox:
    return asyncio.run(measure_level(level))


@dataclass(frozen=True)
class Jail:
    """A sandbox with a policy."""

    sandbox: Sandbox
    policy: Policy

    def run(self, *argv: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.sandbox.command(argv, self.policy),
            env=self.sandbox.environment(self.policy),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    def python(self, code: str) -> str:
        """What the code prints; its failure is the test's."""
        done = self.run(sys.executable, "-P", "-c", code)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="session", params=LEVELS)
def level(request: pytest.FixtureRequest) -> Level:
    wanted: Level = request.param
    sandbox = offered(wanted)
    if sandbox.level != wanted:
        pytest.skip(f"this machine offers no walls of level {wanted}: {sandbox.reason}")
    return wanted


@pytest.fixture
def jail(level: Level, tmp_path: Path) -> Jail:
    for folder in ("workspace", "runtime"):
        (tmp_path / folder).mkdir()
    return Jail(Sandbox(level, "asked for by the test"), Policy(tmp_path / "workspace", tmp_path / "runtime"))
