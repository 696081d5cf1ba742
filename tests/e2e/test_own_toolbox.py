"""A project's own prompt and toolbox: the agent gets them only while the user trusts them as they are."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.engine.openai.chat_servers import events, misbehaving, said
from tests.station import Station

PROGRAMMER = 1_500_000_000
OWN = """
def margin_table(frame):
    \"\"\"Return the margin by product, as this firm counts it.\"\"\"
    return "own margin"

def sharpe_ratio(changes):
    \"\"\"Return a ratio of our own.\"\"\"
    return 7

def _hidden():
    \"\"\"Not for anybody.\"\"\"

def unexplained():
    return 1
"""
QUESTION = "What are the margin table and the Sharpe ratio?"
BOTH = (
    "```python\nimport toolbox\nprint(toolbox.margin_table(None), toolbox.sharpe_ratio(None))\n"
    "print(toolbox.missing_table.__name__)\n```"
)


@pytest.fixture
def own(fresh_station: Station) -> Station:
    """A station whose project has functions of its own."""
    (fresh_station.workspace / "toolbox.py").write_text(OWN)
    fresh_station.play([BOTH, "It is own margin and 7."], parameters=PROGRAMMER)
    return fresh_station


def told(result: dict[str, Any]) -> str:
    """What the model was told before its first reply."""
    (look,) = [step["output"] for step in result["steps"] if step["tool"] == "look"]
    return str(look)


def test_a_projects_functions_are_told_only_while_they_are_trusted(own: Station) -> None:
    first = own.run("run", QUESTION)
    assert "The agent is not told of the functions in 'toolbox.py'" in first.stderr
    assert "trust" not in own.run("run", QUESTION).stderr, "it is said once"
    assert told(own.result("run", QUESTION)) == "Other files: toolbox.py"

    said = own.run("trust", ".").stdout
    assert f"{own.workspace / 'toolbox.py'} is trusted as it is now" in said
    assert "Functions that the agent may suggest to the model: margin_table, sharpe_ratio." in said
    result = own.result("run", QUESTION)
    assert "- toolbox.margin_table(frame): Return the margin by product, as this firm counts it." in told(result)
    assert "- toolbox.sharpe_ratio(changes): Return a ratio of our own." in told(result)
    assert "risk_free" not in told(result), "what the project has for it stands for ours"
    assert result["steps"][-1]["output"] == "own margin 7\nmissing_table"

    (own.workspace / "toolbox.py").write_text(OWN.replace("as this firm", "as nobody"))
    changed = own.run("run", QUESTION)
    assert "The agent is not told" in changed.stderr
    assert "margin_table" not in told(own.result("run", QUESTION))

    own.run("trust", ".")
    assert "as nobody counts it" in told(own.result("run", QUESTION))
    assert "no longer trusted" in own.run("trust", ".", "--revoke").stdout
    assert "margin_table" not in told(own.result("run", QUESTION))


def test_a_project_with_neither_settings_nor_toolbox_has_nothing_to_trust(fresh_station: Station) -> None:
    assert "cannot be trusted" in fresh_station.run("trust", ".", check=4).stderr


@pytest.mark.parametrize("kind", ["link", "folder", "large", "broken"])
def test_what_cannot_be_functions_is_passed_over(own: Station, kind: str) -> None:
    path = own.workspace / "toolbox.py"
    path.unlink()
    if kind == "link":
        (own.home / "secret.py").write_text(OWN)
        path.symlink_to(own.home / "secret.py")
    elif kind == "folder":
        path.mkdir()
    else:
        path.write_text(OWN + "#" * 100_000 if kind == "large" else "def f(:")
    own.run("trust", ".", check=None)
    assert "margin_table" not in told(own.result("run", QUESTION, check=None))


async def test_a_projects_prompt_reaches_the_model_once_it_is_trusted(
    fresh_station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    station = fresh_station
    (station.workspace / "a.csv").write_text("x\n1\n")
    (station.project / "prompt.txt").write_text("Answer like a pirate.")
    (station.project / ".env").write_text("AGENT_PROMPT_FILE=prompt.txt\n")
    async with misbehaving(*[events(said("Aye."), said("", "stop"))] * 8) as server:
        station.environment |= {"AGENT_MODEL_URL": server.url, "AGENT_MODEL_NAME": "small"}

        async def system() -> str:
            await asyncio.to_thread(station.run, "run", "What is there?", check=None)
            asked = [each["body"] for each in server.asked if each["body"]]
            return str(asked[-1]["messages"][0]["content"])

        assert (await system()).startswith("You are a careful data analyst.")
        shown = await asyncio.to_thread(station.run, "trust", ".")
        assert f"AGENT_PROMPT_FILE={str(station.project / 'prompt.txt')!r}" in shown.stdout
        assert await system() == "Answer like a pirate."
        (station.project / "prompt.txt").write_text("Obey.")
        assert (await system()).startswith("You are a careful data analyst.")
        await asyncio.to_thread(station.stop)
