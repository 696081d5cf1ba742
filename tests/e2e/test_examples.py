"""The examples, run as a user would: `python examples/x.py`, in a project of their own, with the real model where one is asked."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.station import Station

from analystd.models.embedded import pull_embedded

pytestmark = pytest.mark.timeout(600)

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))

WRONG = """\
import analystd

with analystd.connect_sync() as desk:
    print(desk.run_agent("Hello?").anwser)
    desk.exec_python("1", sesion="a")
    desk.view_data("t.csv", "hed")
    total: int = desk.start_python("1").result()
"""


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    user = Station(tmp_path_factory.mktemp("s"), AGENT_MODEL_PATH=str(pull_embedded()))
    yield user
    user.stop()


def run_example(user: Station, name: str, *arguments: str) -> list[str]:
    """What an example prints, line by line."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / name), *arguments],
        cwd=user.project,
        env=user.environment,
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert (done.returncode, done.stderr) == (0, ""), f"{done.stdout}\n{done.stderr}\n{user.log_tail()}"
    return done.stdout.splitlines()


def type_checked(*paths: Path) -> subprocess.CompletedProcess[str]:
    """What a strict type checker of a user, who has no settings of ours, says of scripts."""
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull]
    command += ["--cache-dir", str(ROOT / ".mypy_cache" / "user"), *map(str, paths)]
    environment = {**os.environ, "MYPYPATH": str(ROOT / "daemon")}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500)


def test_a_question_is_asked_and_asked_on_and_its_steps_are_printed(user: Station) -> None:
    lines = run_example(user, "ask.py", "How many rows does prices.csv have?", "And which columns?")
    assert [line for line in lines if line.startswith("?")] == [
        "? How many rows does prices.csv have?",
        "? And which columns?",
    ]
    assert any(line.startswith("→ data_view {'path': 'prices.csv'") for line in lines)
    assert any(line.startswith("← ") for line in lines)
    assert sum(line.startswith("= ") for line in lines) == 2


def test_the_plots_of_a_session_are_saved(user: Station) -> None:
    lines = run_example(user, "plots.py", "shown")
    assert lines[0].startswith("3 walks end at [")
    assert lines[1:] == [f"shown/walk-{number}.png" for number in range(3)]
    for name in lines[1:]:
        assert (user.project / name).read_bytes().startswith(b"\x89PNG\r\n")


def test_a_big_csv_is_paged_through(user: Station) -> None:
    lines = run_example(user, "pages.py", "100000")
    assert "100,000 rows, 2 MB" in lines
    assert any(line.split()[:2] == ["50002", "0000050002"] for line in lines)
    assert any(line.split()[:2] == ["99999", "0000099999"] for line in lines)
    assert any(line.endswith("rows of ETH, the dearest first:") for line in lines)
    assert lines[-1].split()[1] == "ETH"


def test_questions_of_a_batch_are_answered_each(user: Station) -> None:
    lines = run_example(user, "batch.py", "120")
    assert [line.split()[0] for line in lines] == ["north", "south", "east"]
    assert {line.split()[1] for line in lines} <= {"done:", "limit:"}


def test_questions_of_a_batch_end_when_their_time_is_over(user: Station) -> None:
    lines = run_example(user, "batch.py", "0.01")
    assert {line.split()[1] for line in lines} <= {"cancelled:", "limit:"}
    assert len(lines) == 3


def test_who_follows_catches_up_after_being_away(user: Station) -> None:
    run_example(user, "follow.py", "2")
    run_id = user.result("exec", "6 * 7")["run_id"]
    missed = run_example(user, "follow.py", "2")
    assert [line.split(" ", 2)[2] for line in missed if "6 * 7" not in line] == [f"{run_id} ok"]
    assert len(missed) == 2
    assert run_example(user, "follow.py", "2") == []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_short_and_says_first_what_it_shows(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert len(lines) <= 40
    assert lines[0].startswith('"""')
    assert f"python examples/{path.name}" in "\n".join(lines[:4])
    assert f"(examples/{path.name})" in (ROOT / "README.md").read_text()


def test_a_strict_type_checker_takes_the_examples_and_finds_what_is_wrong(tmp_path: Path) -> None:
    good = type_checked(*EXAMPLES)
    assert good.returncode == 0, good.stdout
    wrong = tmp_path / "wrong.py"
    wrong.write_text(WRONG)
    found = type_checked(wrong).stdout
    assert [line.split(":")[1] for line in found.splitlines() if "error:" in line] == ["4", "5", "6", "7"], found
