"""A jail that lives: code is run in it line by line, as cells are in a session."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from analystd.jail.activity import activity
from analystd.jail.quarantine import Quarantine
from analystd.jail.sandbox import Policy, Sandbox
from analystd.jail.trusted_names import TrustedNames
from analystd.jail.trusted_paths import TrustedPaths

_PROGRAM = """
import json, os, sys, traceback
names = {}
print("{}", flush=True)
for line in sys.stdin:
    try:
        exec(json.loads(line), names)
        problem = None
    except OSError as exc:
        problem = exc.strerror
    print(json.dumps({"problem": problem}), flush=True)
"""

CALM_SECONDS = 20.0


class LiveJail:
    """A jail with the guard of its workspace."""

    def __init__(self, sandbox: Sandbox, base: Path, quarantine: Path | None = None) -> None:
        self.workspace, self.runtime = base / "workspace", base / f"runtime-{time.monotonic_ns()}"
        self.workspace.mkdir(exist_ok=True)
        self.runtime.mkdir()
        self.record = base / "record.json"
        self.quarantine = quarantine or base / "quarantine"
        self.trusted = self.guard(sandbox)
        policy = Policy(self.workspace, self.runtime, sealed=self.trusted.to_seal())
        self.process = subprocess.Popen(
            sandbox.command([sys.executable, "-P", "-c", _PROGRAM], policy),
            env=sandbox.environment(policy),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answer()

    def guard(self, sandbox: Sandbox) -> TrustedPaths:
        return TrustedPaths(
            self.workspace,
            TrustedNames(),
            Quarantine(self.workspace, self.quarantine),
            self.record,
            can_seal=sandbox.level == "full",
        )

    def __enter__(self) -> Self:
        self.trusted.arm(self.process.pid)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
        self.trusted.disarm(self.process.pid)

    def run(self, code: str) -> str | None:
        """Run code in the jail; gives how it was refused, if it was."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(code) + "\n")
        self.process.stdin.flush()
        problem: str | None = self._answer()["problem"]
        return problem

    def moved(self) -> list[str]:
        """Where everything was that has been moved aside so far, after one more look."""
        self.trusted.look()
        return sorted(item.path for entry in self.trusted.quarantine.entries() for item in entry.items)

    def wait_until_calm(self) -> None:
        """Wait until the guard has noted that nothing runs in the jail."""
        deadline = time.monotonic() + CALM_SECONDS
        while time.monotonic() < deadline:
            before = activity([self.process.pid])
            self.trusted.look(note=True)
            if activity([self.process.pid]) == before:
                return
            time.sleep(0.05)
        raise TimeoutError("the jail does not come to rest")

    def _answer(self) -> dict[str, str | None]:
        assert self.process.stdout is not None
        answer: dict[str, str | None] = json.loads(self.process.stdout.readline())
        return answer
