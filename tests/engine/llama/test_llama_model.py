"""The results of llama.cpp for one conversation, alone and together with others."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from analystd.engine.llama.llama_model import BatchEntry, BatchOutcome, LlamaModel, Logits

pytestmark = pytest.mark.slow

STEPS = 4
LENGTHS = (30, 70, 520)


@pytest.fixture(scope="module")
def model(gguf: Path) -> Iterator[LlamaModel]:
    """With room for conversations that are longer than the 512 tokens from which llama.cpp may attend otherwise."""
    model = LlamaModel(gguf, context_tokens=1024)
    yield model
    model.close()


def prompt(length: int) -> list[int]:
    return random.Random(length).choices(range(1000, 40000), k=length)


def decode(model: LlamaModel, entries: Sequence[BatchEntry]) -> None:
    assert model.decode(entries) is BatchOutcome.DONE


def continued(model: LlamaModel, prompts: dict[int, list[int]], portion: int) -> dict[int, list[Logits]]:
    """The scores after each prompt, and after each of the likeliest tokens that follow, all sequences in the same batches."""
    scores: dict[int, list[Logits]] = {sequence: [] for sequence in prompts}
    texts = {sequence: list(tokens) for sequence, tokens in prompts.items()}
    stored = dict.fromkeys(prompts, 0)
    for sequence in prompts:
        model.keep(sequence, 0)
    while any(len(each) < STEPS for each in scores.values()):
        entries = [
            BatchEntry(token, stored[sequence] + place, sequence, stored[sequence] + place == len(tokens) - 1)
            for sequence, tokens in texts.items()
            for place, token in enumerate(tokens[stored[sequence] :][:portion])
        ]
        decode(model, entries)
        for index, entry in enumerate(entries):
            stored[entry.sequence] = entry.position + 1
            if entry.wants_logits:
                scores[entry.sequence].append(model.logits(index).copy())
                texts[entry.sequence].append(int(scores[entry.sequence][-1].argmax()))
    return {sequence: each[:STEPS] for sequence, each in scores.items()}


def test_scores_do_not_depend_on_other_sequences_or_batch_portions(model: LlamaModel) -> None:
    prompts = {sequence: prompt(length) for sequence, length in enumerate(LENGTHS)}
    together = continued(model, prompts, portion=model.batch_size // len(prompts))
    for sequence, tokens in prompts.items():
        alone = continued(model, {sequence: tokens}, portion=model.batch_size)
        for one, other in zip(alone[sequence], together[sequence], strict=True):
            assert np.array_equal(one, other)


def test_a_copied_prefix_gives_the_same_scores_as_a_processed_one(model: LlamaModel) -> None:
    tokens = prompt(200)
    whole = continued(model, {0: tokens}, portion=64)[0]
    model.keep(1, 0)
    assert model.copy(0, 1, 150)
    assert (model.stored(0), model.stored(1)) == (200 + STEPS - 1, 150)
    decode(model, [BatchEntry(token, 150 + place, 1, place == 49) for place, token in enumerate(tokens[150:])])
    assert np.array_equal(model.logits(49), whole[0])


def test_reading_the_state_of_a_prefix_does_not_change_the_sequence(model: LlamaModel) -> None:
    tokens = prompt(200)
    whole = continued(model, {0: tokens}, portion=64)[0]
    model.keep(0, 200)
    state = model.state(0, 150)
    assert model.stored(0) == 200
    model.keep(2, 0)
    assert model.restore(2, state, 150)
    decode(model, [BatchEntry(token, 150 + place, 2, place == 49) for place, token in enumerate(tokens[150:])])
    assert np.array_equal(model.logits(49), whole[0])


def test_an_invalid_state_leaves_the_sequence_empty(model: LlamaModel) -> None:
    model.keep(3, 0)
    assert not model.restore(3, b"nonsense", 10)
    assert not model.restore(3, b"", 10)
    assert model.stored(3) == 0
