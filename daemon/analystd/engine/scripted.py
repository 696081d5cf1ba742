"""An engine that plays a script instead of running a model, for tests and demonstrations with reproducible replies.

A script is a `.jsonl` file with one reply a line. Each conversation plays it from the first line on, one line for each reply:

    {"say": "Let me look.\\n<tool name=\\"list_files\\">\\n{}\\n</tool>"}
    {"say": "There are two files.", "expect": "prices.csv", "delay": 0.01}

A first line `{"parameters": 1500000000}` sets the size of the model that the script plays; without it, the script plays a small one.

`expect` is a text that the last message must contain, and `delay` is the number of seconds before each piece. Pieces are one to five
characters long, so that tags are split in places where a model would rarely split them.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from analystd.engine.base import Completion, EngineInfo, GenerateRequest, Message
from analystd.util.small_files import read_small
from analystd.wire.errors import EngineUnavailableError

_PIECE_LENGTHS = (1, 3, 2, 5, 4)
_CHARACTERS_PER_TOKEN = 4
_SCRIPT_BYTES = 64 << 20
_FIELDS: dict[str, tuple[type, ...]] = {"say": (str,), "expect": (str,), "delay": (int, float)}


SMALL = 100_000_000
"""The default number of weights of the model that a script plays."""


@dataclass(frozen=True)
class Line:
    """One reply of a script."""

    say: str
    expect: str = ""
    delay: float = 0.0


class ScriptedEngine:
    """An `Engine` that replies with the lines of its script."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: tuple[Line, ...] | None = None
        self._parameters = SMALL
        self._played: Counter[str] = Counter()

    def info(self) -> EngineInfo:
        """Return the script's path; the engine is loaded once the script was read."""
        return EngineInfo(
            kind="scripted", model=str(self._path), loaded=self._lines is not None, parameters=self._parameters
        )

    async def load(self) -> None:
        """Read the script."""
        if self._lines is None:
            self._lines, self._parameters = read_script(self._path)

    async def count_tokens(self, messages: tuple[Message, ...]) -> int:
        """Return one token for every four characters."""
        return sum(_tokens(message.content) for message in messages)

    async def generate(self, request: GenerateRequest, on_text: Callable[[str], bool]) -> Completion:
        """Reply with the conversation's next line, whatever `max_tokens` and the tool choice are."""
        await self.load()
        started = time.monotonic()
        line = self._next_line(request)
        sent: list[str] = []
        stopped = False
        for piece in pieces(line.say):
            await asyncio.sleep(line.delay)
            sent.append(piece)
            if stopped := on_text(piece):
                break
        text = "".join(sent)
        return Completion(
            text=text,
            reason="stopped" if stopped else "stop",
            prompt_tokens=await self.count_tokens(request.messages),
            cached_tokens=0,
            completion_tokens=_tokens(text),
            seconds=time.monotonic() - started,
        )

    async def aclose(self) -> None:
        """Do nothing: there is nothing to free."""

    def _next_line(self, request: GenerateRequest) -> Line:
        assert self._lines is not None
        number = self._played[request.sequence]
        if number == len(self._lines):
            raise EngineUnavailableError(
                f"The script {self._path} has ended: it has {number} replies, and this conversation requests another one"
            )
        line = self._lines[number]
        last = request.messages[-1].content
        if line.expect not in last:
            raise EngineUnavailableError(
                f"Reply {number + 1} of the script {self._path} expects {line.expect!r} in the last message, which is {last!r}"
            )
        self._played[request.sequence] += 1
        return line


def read_script(path: Path) -> tuple[tuple[Line, ...], int]:
    """Return the lines of a script, without empty ones, and the size of the model that it plays.

    Raises:
        EngineUnavailableError: when it cannot be read; the message names the invalid line.
    """
    try:
        text = read_small(path, _SCRIPT_BYTES).decode("utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise EngineUnavailableError(f"The script {path} cannot be read: {exc}") from exc
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    parameters = _parameters(lines[0][1]) if lines else None
    replies = lines if parameters is None else lines[1:]
    return tuple(_parsed(path, number, line) for number, line in replies), parameters or SMALL


def pieces(text: str) -> Iterator[str]:
    """Yield the text in pieces of one to five characters."""
    lengths = itertools.cycle(_PIECE_LENGTHS)
    position = 0
    while position < len(text):
        length = next(lengths)
        yield text[position : position + length]
        position += length


def _parameters(line: str) -> int | None:
    """Return the size of the model if the line contains that and nothing else."""
    try:
        fields = json.loads(line)
    except ValueError:
        return None
    if isinstance(fields, dict) and set(fields) == {"parameters"} and type(fields["parameters"]) is int:
        return int(fields["parameters"])
    return None


def _parsed(path: Path, number: int, line: str) -> Line:
    try:
        fields = json.loads(line)
        wrong = [name for name, value in fields.items() if not isinstance(value, _FIELDS.get(name, ()))]
        if wrong:
            raise ValueError(f"{', '.join(wrong)} not allowed or of the wrong type")
        return Line(**fields)
    except (ValueError, TypeError, AttributeError) as exc:
        raise EngineUnavailableError(
            f"Line {number} of the script {path} is not a reply: {exc}",
            'A line is {"say": TEXT, "expect"?: TEXT, "delay"?: SECONDS}.',
        ) from exc


def _tokens(text: str) -> int:
    return -(-len(text) // _CHARACTERS_PER_TOKEN)
