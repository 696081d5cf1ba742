from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from analystd.engine.llama.decoder import Decoder, Job, Result
from analystd.engine.llama.generation import Generation, Rules
from analystd.engine.llama.llama_model import BatchEntry, BatchOutcome, Logits
from analystd.engine.llama.sampling import make_sampler
from analystd.wire.errors import EngineUnavailableError

pytestmark = pytest.mark.slow

END = 0


class Digits:
    """A vocabulary whose tokens are the numbers up to 99; 0 ends a reply."""

    size, ends = 100, frozenset({END})

    def piece(self, token: int) -> bytes:
        return f"{token} ".encode()


class CountingModel:
    """A model that counts down from the last token, and checks that each sequence is fed without gaps."""

    window, batch_size, can_share, conversations = 60, 16, True, 2

    def __init__(self) -> None:
        self.vocabulary: Any = Digits()
        self.stored: dict[int, list[int]] = {}
        self.batches: list[list[BatchEntry]] = []
        self.outcomes: list[BatchOutcome] = []
        self.while_decoding: Callable[[], None] = lambda: None

    def decode(self, entries: Sequence[BatchEntry], should_abort: Callable[[], bool] | None = None) -> BatchOutcome:
        assert len(entries) <= self.batch_size
        self.batches.append(list(entries))
        for entry in entries:
            held = self.stored.setdefault(entry.sequence, [])
            assert entry.position == len(held)
            held.append(entry.token)
        self.while_decoding()
        if should_abort is not None and should_abort():
            return BatchOutcome.ABORTED
        return self.outcomes.pop(0) if self.outcomes else BatchOutcome.DONE

    def logits(self, index: int) -> Logits:
        entry = self.batches[-1][index]
        assert entry.wants_logits
        logits = np.zeros(100, dtype=np.float32)
        logits[max(END, entry.token - 1)] = 1
        return logits

    def keep(self, sequence: int, length: int) -> bool:
        del self.stored.setdefault(sequence, [])[length:]
        return True

    def copy(self, source: int, target: int, length: int) -> bool:
        self.stored[target] = self.stored[source][:length]
        return True


class Ear:
    """Hears how a reply ends, and can lose interest."""

    def __init__(self) -> None:
        self.text = ""
        self.result: Result | None = None
        self.error: EngineUnavailableError | None = None
        self.gone = False

    def cancelled(self) -> bool:
        return self.gone

    def on_text(self, text: str) -> None:
        self.text += text

    def finished(self, result: Result) -> None:
        assert self.result is None and self.error is None
        self.result = result

    def failed(self, error: EngineUnavailableError) -> None:
        assert self.result is None and self.error is None
        self.error = error


@pytest.fixture
def model() -> CountingModel:
    return CountingModel()


def add(
    decoder: Decoder, model: CountingModel, prompt: Sequence[int], sequence: str = "a", max_tokens: int = 10
) -> Ear:
    ear = Ear()
    reply = Generation(model.vocabulary, Rules(make_sampler(0, 0), max_tokens=max_tokens))
    decoder.add(Job(ear, sequence, tuple(prompt), reply))
    return ear


def finish(decoder: Decoder) -> None:
    for _ in range(200):
        if decoder.idle:
            return
        decoder.step()
    raise AssertionError("the decoder does not come to an end")


def decoder_of(model: CountingModel) -> Decoder:
    return Decoder(model)  # type: ignore[arg-type]


def test_a_reply_is_generated_token_by_token(model: CountingModel) -> None:
    decoder = decoder_of(model)
    ear = add(decoder, model, [9, 4])
    finish(decoder)
    assert ear.text == "3 2 1 "
    assert ear.result is not None
    assert (ear.result.reason, ear.result.prompt_tokens, ear.result.completion_tokens) == ("stop", 2, 3)


def test_a_long_prompt_is_processed_in_portions(model: CountingModel) -> None:
    decoder = decoder_of(model)
    ear = add(decoder, model, [*range(50, 10, -1), 3])
    finish(decoder)
    assert [len(batch) for batch in model.batches] == [16, 16, 9, 1, 1]
    assert ear.text == "2 1 "


def test_generation_continues_while_another_prompt_is_processed(model: CountingModel) -> None:
    decoder = decoder_of(model)
    writer = add(decoder, model, [9])
    decoder.step()
    reader = add(decoder, model, [*range(40, 20, -1), 2], "b")
    decoder.step()
    assert [entry.token for entry in model.batches[-1]] == [8, 40, 39, 38, 37]
    finish(decoder)
    assert (writer.text, reader.text) == ("8 7 6 5 4 3 2 1 ", "1 ")


def test_prompts_are_processed_in_parallel(model: CountingModel) -> None:
    decoder = decoder_of(model)
    ears = [add(decoder, model, [*[n] * 20, 3], str(n), max_tokens=5) for n in (5, 6)]
    decoder.step()
    assert [entry.token for entry in model.batches[-1]] == [5] * 8 + [6] * 8
    finish(decoder)
    assert [ear.text for ear in ears] == ["2 1 ", "2 1 "]


def test_a_known_prefix_is_not_processed_again(model: CountingModel) -> None:
    decoder = decoder_of(model)
    add(decoder, model, [7, 8, 9, 3])
    finish(decoder)
    ear = add(decoder, model, [7, 8, 9, 3, 2, 50, 2])
    finish(decoder)
    assert ear.result is not None
    assert ear.result.cached_tokens == 5


def test_a_reply_ends_at_its_limit_or_with_the_context(model: CountingModel) -> None:
    decoder = decoder_of(model)
    short = add(decoder, model, [50], "a", max_tokens=2)
    finish(decoder)
    full = add(decoder, model, range(99, 42, -1), "b", max_tokens=3)
    finish(decoder)
    assert short.result is not None and full.result is not None
    assert (short.result.reason, full.result.reason) == ("length", "context")


def test_a_cancelled_reply_stops_and_others_continue(model: CountingModel) -> None:
    decoder = decoder_of(model)
    leaver = add(decoder, model, [5] * 30)
    stayer = add(decoder, model, [*[6] * 20, 2], "b")

    def leave() -> None:
        leaver.gone = True

    model.while_decoding = leave
    finish(decoder)
    assert leaver.result is not None
    assert leaver.result.reason == "stopped"
    assert stayer.text == "1 "


def test_a_request_that_was_cancelled_before_its_turn_is_answered(model: CountingModel) -> None:
    decoder = decoder_of(model)
    ear = add(decoder, model, [5])
    ear.gone = True
    finish(decoder)
    assert ear.result is not None
    assert (ear.result.reason, model.batches) == ("stopped", [])


def test_more_conversations_than_the_model_keeps_wait(model: CountingModel) -> None:
    decoder = decoder_of(model)
    ears = [add(decoder, model, [3], str(n)) for n in range(3)]
    decoder.step()
    assert len(model.batches[-1]) == 2
    finish(decoder)
    assert [ear.text for ear in ears] == ["2 1 "] * 3


def test_the_second_request_of_a_conversation_waits_for_the_first(model: CountingModel) -> None:
    decoder = decoder_of(model)
    first, second = add(decoder, model, [4]), add(decoder, model, [3])
    other = add(decoder, model, [3], "b")
    decoder.step()
    assert len(model.batches[-1]) == 2
    finish(decoder)
    assert (first.text, second.text, other.text) == ("3 2 1 ", "2 1 ", "2 1 ")


def test_a_batch_that_fails_fails_its_replies_only(model: CountingModel) -> None:
    decoder = decoder_of(model)
    model.outcomes = [BatchOutcome.FAILED]
    ear = add(decoder, model, [4])
    decoder.step()
    later = add(decoder, model, [3], "b")
    finish(decoder)
    assert ear.error is not None
    assert later.text == "2 1 "
