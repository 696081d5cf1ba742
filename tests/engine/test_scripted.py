from pathlib import Path

import pytest

from analystd.engine.base import GenerateRequest, Message
from analystd.engine.scripted import ScriptedEngine, pieces
from analystd.wire.errors import EngineUnavailableError

CALL = '{"say": "<tool name=\\"list_files\\">\\n{}\\n</tool>"}\n'
ANSWER = '{"say": "Two files.", "expect": "a.csv"}\n'


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "script.jsonl"
    path.write_text(CALL + "\n" + ANSWER, encoding="utf-8")
    return path


def asking(text: str, sequence: str = "one") -> GenerateRequest:
    return GenerateRequest(sequence, (Message("user", text),))


async def say(engine: ScriptedEngine, request: GenerateRequest) -> str:
    return (await engine.generate(request, lambda _: False)).text


async def test_each_conversation_plays_the_script_from_the_beginning(script: Path) -> None:
    engine = ScriptedEngine(script)
    first = await say(engine, asking("?"))
    assert first == '<tool name="list_files">\n{}\n</tool>'
    assert await say(engine, asking("a.csv")) == "Two files."
    assert await say(engine, asking("?", "two")) == first


async def test_pieces_make_up_the_text_and_part_tags(script: Path) -> None:
    said: list[str] = []

    def hear(text: str) -> bool:
        said.append(text)
        return False

    completion = await ScriptedEngine(script).generate(asking("?"), hear)
    assert ("".join(said), completion.reason) == (completion.text, "stop")
    assert all(len(piece) <= 5 for piece in said)
    assert list(pieces("<tool name")) == ["<", "too", "l ", "name"]


async def test_on_text_ends_a_reply(script: Path) -> None:
    completion = await ScriptedEngine(script).generate(asking("?"), lambda _: True)
    assert (completion.text, completion.reason) == ("<", "stopped")


async def test_a_script_that_has_ended_raises_an_error(script: Path) -> None:
    engine = ScriptedEngine(script)
    await say(engine, asking("?"))
    await say(engine, asking("a.csv"))
    with pytest.raises(EngineUnavailableError, match="has ended: it has 2 replies"):
        await say(engine, asking("more"))


async def test_an_unexpected_message_is_reported(script: Path) -> None:
    engine = ScriptedEngine(script)
    await say(engine, asking("?"))
    with pytest.raises(
        EngineUnavailableError, match=r"Reply 2 .* expects 'a.csv' in the last message, which is 'b.csv'"
    ):
        await say(engine, asking("b.csv"))


@pytest.mark.parametrize(
    "line", ["nonsense", "[]", '{"say": 5}', '{"says": "x"}', '{"expect": "x"}', '{"say": "x", "delay": "long"}']
)
async def test_an_invalid_line_is_reported_with_its_number(tmp_path: Path, line: str) -> None:
    script = tmp_path / "bad.jsonl"
    script.write_text(CALL + line, encoding="utf-8")
    with pytest.raises(EngineUnavailableError, match=r"Line 2 of the script .*bad\.jsonl is not a reply"):
        await ScriptedEngine(script).load()


async def test_a_missing_script_is_reported(tmp_path: Path) -> None:
    engine = ScriptedEngine(tmp_path / "none.jsonl")
    assert not engine.info().loaded
    with pytest.raises(EngineUnavailableError, match="cannot be read"):
        await engine.load()
