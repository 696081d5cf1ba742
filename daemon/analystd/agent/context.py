"""The context budget: shorten a conversation that does not fit into the model's window.

The prompt of each reply should begin like the previous one, because the common part is not processed again. So more is cut than necessary,
in quarters of the budget: the next few prompts are then cut in the same way.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace

from analystd.agent.turns import Exchange, Talk, shortened
from analystd.engine.base import Message
from analystd.wire.errors import InvalidArgumentsError

CountTokens = Callable[[tuple[Message, ...]], Awaitable[int]]

_SHRUNK_CHARS = 300
_QUARTERS = 4
_TRIES = 4
_MOST_CHARS_PER_TOKEN = 64
"""A conversation with more characters per token of the budget is cut without counting, which would take seconds."""

_ANCHOR = Message("system", "Answer.")


class TokenCosts:
    """The number of tokens that each message adds to a prompt, counted once."""

    def __init__(self, count: CountTokens) -> None:
        self.count = count
        self._costs: dict[Message, int] = {}
        self._base: int | None = None

    async def of(self, message: Message) -> int:
        """Return the number of tokens that a message adds, with its markup."""
        if message not in self._costs:
            if self._base is None:
                self._base = await self.count((_ANCHOR,))
            self._costs[message] = await self.count((_ANCHOR, message)) - self._base
        return self._costs[message]


async def fit(talk: Talk, budget: int, costs: TokenCosts) -> tuple[Message, ...]:
    """Return the messages of a conversation in at most `budget` tokens; all of them if they fit.

    First older tool outputs are shortened, then replaced by one line of facts each; then the oldest turns are dropped, then the worked
    examples, then the oldest calls of this question, finally its last result. The system message and the question are never dropped.

    Raises:
        InvalidArgumentsError: if these two alone do not fit.
    """
    talk = _countable(talk, budget)
    messages = talk.messages
    excess = await costs.count(messages) - budget
    freed = excess
    for _ in range(_TRIES):
        if excess <= 0:
            return messages
        messages = await _lightened(talk, freed, max(1, budget // _QUARTERS), costs)
        # Templates may add more for two messages than for each alone; the difference from the sum is added.
        excess = await costs.count(messages) - budget
        freed += max(excess, 0)
    if excess <= 0:
        return messages
    least = await costs.count(talk.least)
    if least > budget:
        raise InvalidArgumentsError(
            f"The question is too long: with what the model has to be told it takes {least} tokens, and {budget} fit",
            "Name the file instead of pasting what is in it, or raise AGENT_CONTEXT_TOKENS if the model can do more.",
        )
    return talk.least


@dataclass(frozen=True)
class _Relief:
    """A reduction: the message at `position` of a block becomes `lighter`, or the whole block is dropped.

    `in_advance` says whether it may be done before it is necessary.
    """

    block: list[Message]
    in_advance: bool
    position: int = 0
    lighter: Message | None = None

    @property
    def heavy(self) -> list[Message]:
        return list(self.block) if self.lighter is None else [self.block[self.position]]

    def carry_out(self) -> None:
        if self.lighter is None:
            self.block.clear()
        else:
            self.block[self.position] = self.lighter


@dataclass(frozen=True)
class _Output:
    """The position of a tool's output."""

    block: list[Message]
    position: int
    fact: Message

    def shortening(self, *, in_advance: bool) -> Iterator[_Relief]:
        result = self.block[self.position]
        if len(result.content) > _SHRUNK_CHARS:
            lighter = replace(result, content=shortened(result.content, _SHRUNK_CHARS))
            yield _Relief(self.block, in_advance, self.position, lighter)

    def summing_up(self, *, in_advance: bool) -> Iterator[_Relief]:
        if len(self.block[self.position].content) > len(self.fact.content):
            yield _Relief(self.block, in_advance, self.position, self.fact)


class _Load:
    """A conversation in blocks that can be reduced."""

    def __init__(self, talk: Talk) -> None:
        self._system = list(talk.opening[:1])
        self._examples = list(talk.opening[1:])
        self._turns = [list(turn.messages) for turn in talk.earlier]
        self._own = [list(each.messages) for each in talk.exchanges]
        self._end = [talk.question], list(talk.notes)
        outputs = [
            output
            for block, turn in zip(self._turns, talk.earlier, strict=True)
            for output in _outputs(block, 1, turn.exchanges)
        ]
        own = [
            output
            for block, each in zip(self._own, talk.exchanges, strict=True)
            for output in _outputs(block, 0, (each,))
        ]
        self._older, self._last = outputs + own[:-1], own[-1:]

    @property
    def messages(self) -> tuple[Message, ...]:
        question, notes = self._end
        blocks = [self._system, self._examples, *self._turns, question, *self._own, notes]
        return tuple(message for block in blocks for message in block)

    def reliefs(self) -> Iterator[_Relief]:
        """Yield the possible reductions in order; each depends on the previous ones having been carried out."""
        for output in self._older:
            yield from output.shortening(in_advance=True)
        for output in self._older:
            yield from output.summing_up(in_advance=True)
        for block in self._turns:
            yield _Relief(block, in_advance=True)
        for block in [self._examples, *self._own[:-1]]:
            yield _Relief(block, in_advance=False)
        for output in self._last:
            yield from output.shortening(in_advance=False)
            yield from output.summing_up(in_advance=False)
        for block in self._own[-1:]:
            yield _Relief(block, in_advance=False)


def _outputs(block: list[Message], first: int, exchanges: tuple[Exchange, ...]) -> list[_Output]:
    """Return the outputs of a block that holds `exchanges` from position `first` on."""
    return [_Output(block, first + 2 * number + 1, each.fact) for number, each in enumerate(exchanges)]


async def _lightened(talk: Talk, excess: int, quantum: int, costs: TokenCosts) -> tuple[Message, ...]:
    """Return the messages with at least `excess` tokens removed if possible, normally the next multiple of `quantum`."""
    load = _Load(talk)
    freed, in_advance = 0, -(-excess // quantum) * quantum
    for relief in load.reliefs():
        if freed >= (in_advance if relief.in_advance else excess):
            break
        for message in relief.heavy:
            freed += await costs.of(message)
        if relief.lighter is not None:
            freed -= await costs.of(relief.lighter)
        relief.carry_out()
    return load.messages


def _countable(talk: Talk, budget: int) -> Talk:
    """Return a conversation without its oldest turns if there are very many."""
    most = budget * _MOST_CHARS_PER_TOKEN
    lengths = [sum(len(message.content) for message in turn.messages) for turn in talk.earlier]
    excess = sum(lengths) - most
    if excess <= 0:
        return talk
    quantum = max(1, most // _QUARTERS)
    goal, freed, gone = -(-excess // quantum) * quantum, 0, 0
    while freed < goal and gone < len(lengths):
        freed += lengths[gone]
        gone += 1
    return replace(talk, earlier=talk.earlier[gone:])
