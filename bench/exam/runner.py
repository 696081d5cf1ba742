"""Ask a real daemon questions as a user would, each in a workspace that holds only its tables, and grade the answers."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.exam.grading import Grade, Said, Verdict, grade
from bench.exam.questions import Asked, Question

from analystd import connect_sync
from analystd.agent.programs import LOOK
from analystd.client.results import AgentResult
from analystd.client.sync_client import SyncClient
from analystd.config.environment import PREFIX
from analystd.wire.errors import DaemonLostError

ROOT = Path(__file__).parents[2]
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0


@dataclass(frozen=True)
class Turn:
    """The result of one turn."""

    text: str
    answer: str
    status: str
    verdict: Verdict
    held: int
    asked: int
    problems: tuple[str, ...]
    steps: tuple[dict[str, Any], ...]
    unsupported: tuple[str, ...]
    seconds: float
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class Outcome:
    """The result of a question: right if every turn is, else the verdict of the first turn that is not."""

    id: str
    family: str
    verdict: Verdict
    turns: tuple[Turn, ...]


class Examiner:
    """Asks one daemon questions, one after another."""

    def __init__(self, desk: SyncClient, workspace: Path, tables: Path, seconds: float) -> None:
        self._desk = desk
        self._workspace = workspace
        self._tables = tables
        self._seconds = seconds

    def ask(self, question: Question) -> Outcome:
        """Ask a question with all its turns in a fresh session, with only its tables in the workspace."""
        self._desk.reset_session()
        empty(self._workspace)
        for name in question.tables:
            shutil.copy(self._tables / name, self._workspace / name)
        turns: list[Turn] = []
        conversation: str | None = None
        for asked in question.turns:
            result = self._desk.run_agent(asked.text, conversation=conversation, max_seconds=self._seconds)
            conversation = result.conversation
            turns.append(_turn(asked, result, grade(asked, _said(result), self._workspace)))
        failed: list[Verdict] = [turn.verdict for turn in turns if turn.verdict != "right"]
        return Outcome(question.id, question.family, failed[0] if failed else "right", tuple(turns))


@contextmanager
def examiner(tables: Path, model: Path, without: Sequence[str] = (), seconds: float = 300.0) -> Iterator[Examiner]:
    """Start a daemon with a home of its own; yield an examiner for it, and stop it in the end.

    Args:
        tables: The folder that holds the files of the questions.
        model: A GGUF file, or a script for a scripted model.
        without: Ingredients that the agent lacks.
        seconds: Maximum duration of a turn.
    """
    with tempfile.TemporaryDirectory(prefix="exam-") as folder:
        home = Path(folder)
        workspace = home / "project" / "workspace"
        workspace.mkdir(parents=True)
        settings = {
            "XDG_STATE_HOME": str(home / "state"),
            "XDG_CONFIG_HOME": str(home / "config"),
            "AGENT_MODEL_PATH": str(model),
        }
        with (
            _environment(settings),
            _daemon(home / "daemon.txt", without),
            _connected(workspace, home / "daemon.txt") as desk,
        ):
            yield Examiner(desk, workspace, tables, seconds)


def empty(folder: Path) -> None:
    """Remove everything in a folder."""
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


@contextmanager
def _environment(settings: dict[str, str]) -> Iterator[None]:
    """Give the daemon and its client a home of their own, and none of the user's settings."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[name]
    os.environ.update(settings)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _daemon(log: Path, without: Sequence[str]) -> Iterator[None]:
    with log.open("wb") as output:
        daemon = subprocess.Popen(
            [sys.executable, "-m", "bench.exam.ingredients", *without], cwd=ROOT, stdout=output, stderr=output
        )
        try:
            yield
        finally:
            daemon.terminate()
            try:
                daemon.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


@contextmanager
def _connected(workspace: Path, log: Path) -> Iterator[SyncClient]:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            desk = connect_sync(workspace, start=False, reconnect=False, events="none", name="exam")
            break
        except DaemonLostError:
            if time.monotonic() > deadline:
                raise DaemonLostError(f"The daemon did not start: {log.read_text()[-2000:]}") from None
            time.sleep(0.1)
    with desk:
        try:
            yield desk
        finally:
            with contextlib.suppress(Exception):
                desk.shutdown(now=True)


def _said(result: AgentResult) -> Said:
    programs = [step for step in result.steps if step.tool != LOOK]
    return Said(
        result.answer,
        tuple(step.output for step in programs if step.ok),
        "\n".join(step.output for step in result.steps if step.tool == LOOK),
        finished=result.status == "done",
        marked=bool(result.unsupported),
    )


def _turn(asked: Asked, result: AgentResult, graded: Grade) -> Turn:
    steps = tuple(
        {"tool": step.tool, "ok": step.ok, "arguments": dict(step.arguments), "output": step.output}
        for step in result.steps
    )
    return Turn(
        asked.text,
        result.answer,
        result.status,
        graded.verdict,
        graded.held,
        graded.asked,
        graded.wrong,
        steps,
        tuple(each.text for each in result.unsupported),
        result.usage.seconds,
        result.usage.prompt_tokens,
        result.usage.cached_tokens,
        result.usage.completion_tokens,
    )
