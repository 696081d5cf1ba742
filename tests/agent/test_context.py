from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analystd.agent.context import TokenCosts, fit
from analystd.agent.turns import Exchange, Talk, Turn, exchange
from analystd.engine.base import Message
from analystd.wire.errors import InvalidArgumentsError
from analystd.wire.results import Step

TEXT = st.integers(0, 3000).map(lambda length: "x" * length)


def view(output: str, path: str = "t.csv") -> Exchange:
    step: Step = {
        "tool": "data_view",
        "arguments": {"path": path, "operation": "shape"},
        "ok": True,
        "output": output,
        "seconds": 0.1,
    }
    return exchange(f"<look at {path}>", step)


def turn(question: str, *outputs: str) -> Turn:
    return Turn(Message("user", question), tuple(map(view, outputs)), Message("assistant", f"Answer to {question}"))


def talk(question: str, *earlier: Turn, outputs: tuple[str, ...] = ()) -> Talk:
    opening = (Message("system", "You look."), Message("user", "An example?"), Message("assistant", "Yes."))
    return Talk(opening, Message("user", question), earlier, tuple(map(view, outputs)))


class Counter:
    """Counts tokens as a model might: one per four characters, some for each message, and a few more for whole prompts."""

    def __init__(self, surplus: int = 0) -> None:
        self.surplus = surplus
        self.calls = 0

    async def count(self, messages: tuple[Message, ...]) -> int:
        self.calls += 1
        return 2 + sum(3 + len(message.content) // 4 + self.surplus * (len(messages) > 2) for message in messages)


def fitted(talk: Talk, budget: int, counter: Counter | None = None) -> tuple[Message, ...]:
    return asyncio.run(fit(talk, budget, TokenCosts((counter or Counter()).count)))


TALKS = st.builds(
    lambda question, earlier, outputs: talk(question, *earlier, outputs=tuple(outputs)),
    TEXT,
    st.lists(
        st.builds(lambda question, outputs: turn(question, *outputs), TEXT, st.lists(TEXT, max_size=3)), max_size=4
    ),
    st.lists(TEXT, max_size=4),
)


@settings(max_examples=200, deadline=None)
@given(TALKS, st.integers(10, 3000), st.integers(0, 3))
def test_what_is_shown_never_exceeds_the_budget_and_keeps_the_question(talk: Talk, budget: int, surplus: int) -> None:
    least = asyncio.run(Counter(surplus).count(talk.least))
    if least > budget:
        with pytest.raises(InvalidArgumentsError, match=f"takes {least} tokens, and {budget} fit"):
            fitted(talk, budget, Counter(surplus))
        return
    shown = fitted(talk, budget, Counter(surplus))
    assert asyncio.run(Counter(surplus).count(shown)) <= budget
    assert shown[0] == talk.opening[0]
    assert talk.question in shown
    assert shown == fitted(talk, budget, Counter(surplus))


@settings(max_examples=100, deadline=None)
@given(TALKS)
def test_what_fits_is_shown_as_it_is(talk: Talk) -> None:
    assert fitted(talk, asyncio.run(Counter().count(talk.messages))) == talk.messages


def test_older_outputs_are_shortened_before_anything_goes() -> None:
    long = talk("And now?", turn("Before?", "Shape: 5 rows\n" + "y" * 3000), outputs=("z" * 2000,))
    shown = fitted(long, 800)
    assert len(shown) == len(long.messages)
    assert "characters cut" in shown[5].content
    assert shown[-1] == long.messages[-1]


def test_facts_stand_for_outputs_when_shortening_does_not_do() -> None:
    outputs = ["Shape: 5 rows × 2 columns\n" + "y" * 3000] * 8
    shown = fitted(talk("And now?", turn("Before?", *outputs)), 600)
    assert next(message.content for message in shown if message.role == "tool") == (
        "data_view: shape of t.csv: Shape: 5 rows × 2 columns"
    )
    assert "Before?" in [message.content for message in shown]


def test_the_oldest_turns_go_before_the_examples_do() -> None:
    shown = fitted(talk("Now?", *[turn(f"Question {number}? {'w' * 400}") for number in range(10)]), 600)
    contents = [message.content for message in shown]
    assert contents[:3] == ["You look.", "An example?", "Yes."]
    assert not any(content.startswith("Question 0?") for content in contents)
    assert contents[-2].startswith("Answer to Question 9?")


def test_prompts_of_a_talk_that_outgrows_the_window_mostly_begin_alike() -> None:
    whole = talk("Now?", *[turn(f"Question {number}?", "r" * 1500) for number in range(5)])
    prompts = []
    for number in range(20):
        whole = replace(whole, exchanges=(*whole.exchanges, view("s" * 200, f"{number}.csv")))
        prompts.append(fitted(whole, 1500))
    breaks = [after[: len(before)] != before for before, after in itertools.pairwise(prompts)]
    assert sum(breaks) <= 4


def test_each_message_is_counted_once() -> None:
    counter = Counter()
    costs = TokenCosts(counter.count)
    whole = talk("Now?", *[turn(f"Question {number}?", "r" * 3000 + str(number)) for number in range(20)])
    asyncio.run(fit(whole, 2000, costs))
    first = counter.calls
    asyncio.run(fit(whole, 2000, costs))
    assert first < 3 * len(whole.messages)
    assert counter.calls - first <= 3


def test_a_very_long_conversation_is_cut_without_being_counted() -> None:
    class Wary(Counter):
        async def count(self, messages: tuple[Message, ...]) -> int:
            assert sum(len(message.content) for message in messages) < 150_000
            return await super().count(messages)

    shown = fitted(talk("Now?", *[turn("Before?", "r" * 3000) for _ in range(1000)]), 2000, Wary())
    assert shown[-1].content == "Now?"
