"""A user's machine in small, for tests: a project folder, state and settings of its own, and the daemon that they lead to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import psutil

from analystd.config.environment import PREFIX

SECONDS = 60.0


class Station:
    """One home, in which `analystd` is run as a user would, and one project whose `workspace` is the jail."""

    traces: ClassVar[Path | None] = None
    """Where the daemons of all stations leave their traces."""

    def __init__(self, home: Path, **settings: str) -> None:
        self.home = home
        self.project = home / "project"
        self.workspace = self.project / "workspace"
        self.workspace.mkdir(parents=True)
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        self.environment |= {
            "XDG_STATE_HOME": str(home / "state"),
            "XDG_CONFIG_HOME": str(home / "config"),
            "PYTHONWARNINGS": "error",
            **(trace_settings(self.traces) if self.traces is not None else {}),
            **settings,
        }

    @property
    def state(self) -> Path:
        return self.home / "state" / "analystd"

    @property
    def log(self) -> Path:
        return self.state / "logs" / "agent.log"

    def play(self, replies: Iterable[str | tuple[str, str]], *, parameters: int | None = None) -> None:
        """Have a scripted model say these replies, each perhaps with a text that it expects; before the daemon starts.

        `parameters` is the size of the model that is played; None: a small one.
        """
        script = self.home / "script.jsonl"
        lines: list[dict[str, Any]] = [] if parameters is None else [{"parameters": parameters}]
        lines += [
            {"say": reply} if isinstance(reply, str) else {"say": reply[0], "expect": reply[1]} for reply in replies
        ]
        script.write_text("".join(json.dumps(line) + "\n" for line in lines))
        self.environment["AGENT_MODEL_PATH"] = str(script)
        # The user's cache holds the real model, which is not needed here, and `uninstall --purge` would remove it.
        self.environment["XDG_CACHE_HOME"] = str(self.home / "cache")

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "analystd", *arguments]

    def run(self, *arguments: str, check: int | None = 0, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run `analystd` with these arguments in the project folder; `check` is the exit status that is wanted."""
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.project,
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            errors="backslashreplace",
            timeout=SECONDS,
        )
        if check is not None:
            assert done.returncode == check, (
                f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}\n{self.log_tail()}"
            )
        return done

    def result(self, *arguments: str, check: int | None = 0) -> Any:
        """What a command prints with `--json`."""
        return json.loads(self.run(*arguments, "--json", check=check).stdout)

    def daemon_pid(self) -> int | None:
        # What the user trusts is kept beside the card.
        kept = [json.loads(path.read_text()) for path in self.state.glob("*.json")]
        return next((card["pid"] for card in kept if "pid" in card), None)

    def log_tail(self, lines: int = 40) -> str:
        return "\n".join(self.log.read_text().splitlines()[-lines:]) if self.log.exists() else "(no log)"

    def stop(self) -> None:
        """End the daemon, if there is one."""
        if self.daemon_pid() is not None:
            self.run("stop", "--now", check=None)


def trace_settings(folder: Path) -> dict[str, str]:
    """Return the settings of a daemon that traces, as whole as `WireCheck` wants it, to a new file in a folder."""
    return {"AGENT_TRACE": str(folder / f"{time.time_ns()}.trace"), "AGENT_TRACE_MAX_MB": "1e6"}


def is_running(pid: int) -> bool:
    """Whether a process is there and not merely waiting to be collected by its parent."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
