"""Conversations with a model that can program, over a desk whose model, files and Python are played."""

from __future__ import annotations

from pathlib import Path

from tests.desk.desks import Office
from tests.desk.test_desk import ask, assert_each_begins_with_the_one_before

PROGRAM = "```python\ntotal = 42\n```"


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
    assert said[3].startswith("Output:\ntotal = 42\n")


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
