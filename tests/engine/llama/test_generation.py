from collections.abc import Iterator

import numpy as np
import pytest

from analystd.engine.base import ToolSpec
from analystd.engine.llama.generation import Generation, OpeningWatch, Rules
from analystd.engine.llama.grammar import tool_call_grammar
from analystd.engine.llama.llama_model import LlamaModel, Logits
from analystd.engine.llama.sampling import make_sampler

SPEC = ToolSpec("view", "", {"properties": {"path": {"type": "string"}}, "required": ["path"]})


@pytest.fixture
def grammar() -> Iterator[str]:
    yield tool_call_grammar([SPEC])


def wanting(model: LlamaModel, *tokens: int) -> Logits:
    """Scores of a model that wants the first token most, the next one if it cannot have that, and so on."""
    logits = np.zeros(model.vocabulary.size, dtype=np.float32)
    for rank, token in enumerate(tokens):
        logits[token] = 100 - rank
    return logits


def rules(**how: object) -> Rules:
    return Rules(make_sampler(0, 0), **how)  # type: ignore[arg-type]


def write(model: LlamaModel, reply: Generation, text: str) -> str:
    """Let the model want the tokens of a text, one after the other, until the reply ends."""
    said = ""
    for token in model.vocabulary.tokenize(text, special=False):
        if reply.reason is None:
            said += reply.advance(wanting(model, token))
    return said


def test_free_text_is_not_constrained(model: LlamaModel) -> None:
    reply = Generation(model.vocabulary, rules())
    assert write(model, reply, "Zürich 🦔 <tool name='x'>") == "Zürich 🦔 <tool name='x'>"


def test_an_end_token_ends_a_reply(model: LlamaModel) -> None:
    reply = Generation(model.vocabulary, rules())
    assert (reply.advance(wanting(model, model.vocabulary.eos)), reply.reason) == ("", "stop")


def test_a_token_that_begins_another_turn_ends_a_reply(model: LlamaModel) -> None:
    reply = Generation(model.vocabulary, rules(turn_tokens=frozenset({1})))
    assert (reply.advance(wanting(model, 1)), reply.reason) == ("", "stop")


def test_a_reply_has_at_most_max_tokens(model: LlamaModel) -> None:
    reply = Generation(model.vocabulary, rules(max_tokens=2))
    write(model, reply, "one two three four")
    assert (len(reply.tokens), reply.reason) == (2, "length")


@pytest.mark.parametrize("before", ["", "So: ", "(", "\n", "🦔", "x <"])
def test_a_call_is_held_to_the_grammar_from_its_opening_on(model: LlamaModel, grammar: str, before: str) -> None:
    reply = Generation(model.vocabulary, rules(grammar=grammar))
    said = write(model, reply, f'{before}<tool name="nonsense"')
    assert said.startswith(f'{before}<tool name="v')
    reply.close()


def test_a_reply_ends_with_its_call(model: LlamaModel, grammar: str) -> None:
    call = '<tool name="view">\n{"path": "</tool>"}\n</tool>'
    reply = Generation(model.vocabulary, rules(grammar=grammar))
    assert write(model, reply, f"Look: {call}\nand more") == f"Look: {call}"
    assert reply.reason == "stop"
    reply.close()


def test_a_required_call_begins_at_once_and_cannot_end_early(model: LlamaModel, grammar: str) -> None:
    reply = Generation(model.vocabulary, rules(grammar=grammar, must_call=True))
    eos, hello = model.vocabulary.eos, model.vocabulary.tokenize("Hello", special=False)[0]
    said = "".join(reply.advance(wanting(model, eos, hello)) for _ in range(4))
    assert reply.reason is None
    assert '<tool name="view">'.startswith(said)
    reply.close()


def test_thoughts_are_not_held_to_the_grammar(model: LlamaModel, grammar: str) -> None:
    reply = Generation(model.vocabulary, rules(grammar=grammar))
    thought = '<think>maybe <tool name="nonsense"> or so</think> No.'
    assert write(model, reply, thought) == thought


def test_a_thought_that_the_template_opened_counts(model: LlamaModel, grammar: str) -> None:
    reply = Generation(model.vocabulary, rules(grammar=grammar), opening="<think>")
    thought = 'maybe <tool name="nonsense">'
    assert write(model, reply, thought) == thought


def test_characters_are_given_whole(model: LlamaModel) -> None:
    reply = Generation(model.vocabulary, rules())
    tokens = model.vocabulary.tokenize("🦔", special=False)
    assert len(tokens) > 1
    assert [reply.advance(wanting(model, token)) for token in tokens] == [*[""] * (len(tokens) - 1), "🦔"]


def test_the_watch_finds_an_opening_in_a_growing_text() -> None:
    text = "a <think> <tool </think> b <to <tool_call> <tool "
    watch = OpeningWatch()
    found = [length for length in range(len(text) + 1) if watch.sees_opening(text[:length])]
    assert found == [len(text)]


def test_a_call_in_the_models_own_syntax_is_not_constrained(model: LlamaModel, grammar: str) -> None:
    call = '<tool_call>{"name": "nonsense", "arguments": {}}</tool_call>'
    reply = Generation(model.vocabulary, rules(grammar=grammar))
    assert write(model, reply, call) == call


def test_control_tokens_of_a_call_are_text_and_end_nothing(model: LlamaModel) -> None:
    reply = Generation(model.vocabulary, rules(shown={1: b"<|python_tag|>"}))
    assert (reply.advance(wanting(model, 1)), reply.reason) == ("<|python_tag|>", None)
    assert reply.advance(wanting(model, 3)) == ""


@pytest.mark.parametrize("opening", ["[THINK]", "<|channel|>analysis<|message|>"])
def test_every_kind_of_thought_is_free_of_the_grammar(model: LlamaModel, grammar: str, opening: str) -> None:
    reply = Generation(model.vocabulary, rules(grammar=grammar), opening=opening)
    thought = 'maybe <tool name="nonsense">'
    assert write(model, reply, thought) == thought


def test_invalid_bytes_become_replacement_characters(model: LlamaModel) -> None:
    half = model.vocabulary.tokenize("🦔", special=False)[0]
    letter = model.vocabulary.tokenize("a", special=False)[0]
    reply = Generation(model.vocabulary, rules())
    assert reply.advance(wanting(model, half)) + reply.advance(wanting(model, letter)) == "\ufffda"


def test_a_model_that_never_stops_is_stopped_in_a_call_too(model: LlamaModel, grammar: str) -> None:
    reply = Generation(model.vocabulary, rules(grammar=grammar, must_call=True, max_tokens=40))
    letter = model.vocabulary.tokenize("a", special=False)[0]
    while reply.reason is None:
        reply.advance(wanting(model, letter))
    assert (len(reply.tokens), reply.reason) == (40, "length")
    reply.close()
