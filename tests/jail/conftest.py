"""A jail to run things in, at each level that this machine offers."""

from __future__ import annotations

import asyncio
import functools
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from analystd.jail.sandbox import Level, Namespaces, Policy, Sandbox, measure_level

VARIANTS: dict[str, tuple[Level, Namespaces]] = {
    "full": ("full", "own"),
    "bwrap": ("full", "bwrap"),
    "partial": ("partial", "own"),
}
"""The walls that there are, by the name that they have in the tests' names."""


@functools.cache
def offered(level: Level, namespaces: Namespaces = "own") -> Sandbox:
    return asyncio.run(measure_level(level, namespaces))


def offered_or_skip(variant: str) -> Sandbox:
    """The walls of one of the `VARIANTS`; skips the test where this machine has none of that kind."""
    level, namespaces = VARIANTS[variant]
    sandbox = offered(level, namespaces)
    if sandbox.level != level:
        pytest.skip(f"this machine offers no such walls: {sandbox.reason}")
    return sandbox


def new_policy(base: Path) -> Policy:
    for folder in ("workspace", "runtime"):
        (base / folder).mkdir()
    return Policy(base / "workspace", base / "runtime")


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


@pytest.fixture(scope="session", params=VARIANTS)
def walls(request: pytest.FixtureRequest) -> Sandbox:
    return offered_or_skip(request.param)


@pytest.fixture
def jail(walls: Sandbox, tmp_path: Path) -> Jail:
    return Jail(walls, new_policy(tmp_path))
