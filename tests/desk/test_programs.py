"""Conversations with a model that can program, over a desk with a scripted model and stand-ins for files and Python."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.desk.desks import Office
from tests.desk.test_desk import ask, assert_each_begins_with_the_one_before

from analystd.config.setting_parsers import PromptFile
from analystd.config.settings import Settings
from analystd.wire.errors import InvalidArgumentsError

PROGRAM = "```python\ntotal = 42 * 1\n```"


async def test_a_follow_up_begins_with_the_very_messages_of_before(tmp_path: Path) -> None:
    office = Office(tmp_path, "notes.txt", parameters=1_500_000_000)
    desk, before = office.open([f"Let me see.\n{PROGRAM}", "It is 42.", f"Again.\n{PROGRAM}", "Yes, 42."])
    first = await ask(desk, "What is the total?")
    await ask(desk, "Sure?", conversation=first["conversation"])
    await desk.aclose()
    desk, after = office.open(["Still 42."])
    await ask(desk, "And now?", conversation=first["conversation"])
    await desk.aclose()
    assert_each_begins_with_the_one_before(before, after)
    said = [message.content for message in after.requests[-1].messages]
    assert said[1] == "Other files: notes.txt\n\nQuestion: What is the total?"
    assert said[2] == f"Let me see.\n{PROGRAM}"
    assert said[3].startswith("Output:\ntotal = 42 * 1\n")


async def test_the_system_message_is_the_same_whatever_the_workspace_holds(tmp_path: Path) -> None:
    systems = set()
    for number, files in enumerate([("a.txt",), ("b.txt", "c.txt")]):
        folder = tmp_path / str(number)
        folder.mkdir()
        desk, engine = Office(folder, *files, parameters=1_500_000_000).open(["I cannot tell."])
        await ask(desk, "What is there?")
        await desk.aclose()
        systems.add(engine.requests[0].messages[0].content)
    assert len(systems) == 1


@pytest.mark.parametrize("parameters", [None, 1_500_000_000])
async def test_a_prompt_of_the_users_own_stands_for_ours(tmp_path: Path, parameters: int | None) -> None:
    settings = Settings(prompt_file=PromptFile("/p.txt", "Answer like a pirate."))
    office = Office(tmp_path, "notes.txt", parameters=parameters)
    (desk, engine) = office.open(["Aye.", "Aye."], settings)
    await ask(desk, "What is there?")
    await desk.aclose()
    system = engine.requests[0].messages[0]
    assert (system.role, system.content[:21]) == ("system", "Answer like a pirate.")
    assert "You " not in system.content
    # A small model needs to know the files and tools, whatever the system message says.
    assert ("Files: notes.txt" in system.content) is (parameters is None)


async def test_what_is_forgotten_is_not_told_again_then_or_later(tmp_path: Path) -> None:
    desk, engine = Office(tmp_path, "notes.txt", parameters=1_500_000_000).open(
        ["It is one.", "Two.", "Three.", "Four."]
    )
    first = await ask(desk, "First?")
    conversation = first["conversation"]
    second = await ask(desk, "Second?", conversation=conversation)
    await ask(desk, "Third?", conversation=conversation, forget_runs=[second["run_id"]])
    await ask(desk, "Fourth?", conversation=conversation)
    await desk.aclose()
    for request in engine.requests[2:]:
        said = "\n".join(message.content for message in request.messages)
        assert "First?" in said
        assert "It is one." in said
        assert "Second?" not in said
        assert "Two." not in said
    assert "Third?" in "\n".join(message.content for message in engine.requests[3].messages)


async def test_only_runs_of_the_conversation_can_be_forgotten(tmp_path: Path) -> None:
    desk, _ = Office(tmp_path, "notes.txt", parameters=1_500_000_000).open(["One.", "Two."])
    first, other = await ask(desk, "First?"), await ask(desk, "Another?")
    for conversation in ({"conversation": first["conversation"]}, {}):
        with pytest.raises(InvalidArgumentsError, match=f"'{other['run_id']}' cannot be forgotten"):
            await ask(desk, "Next?", forget_runs=[other["run_id"]], **conversation)
    await desk.aclose()
