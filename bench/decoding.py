"""The effect of decoding settings on one model: batch sizes, threads, types of the KV cache, and drafts copied from the context.

Everything runs in this process and alone, on llama.cpp as the worker uses it. Each setting is changed by itself against the current ones;
rounds alternate between all of them, and figures are medians. Drafts (prompt lookup): the tokens that followed an earlier occurrence of the
last few tokens are computed in one step with the next token, and kept as far as the model generates the same.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analystd.agent.programs import question_with_facts, system_prompt
from analystd.engine.base import Message
from analystd.engine.llama.chat_template import Renderer
from analystd.engine.llama.cpu_count import usable_cores
from analystd.engine.llama.llama_model import CPU_BATCH, BatchEntry, BatchOutcome, LlamaModel, lib
from analystd.models.embedded import choose_model
from analystd.wire.errors import EngineUnavailableError

CONTEXT = 4096
READ_TOKENS, WRITTEN_TOKENS = 512, 32
STEP_SIZES = (1, 2, 3, 4, 6, 8, 16)
TYPES = {"f16": 1, "q8_0": 8}
NGRAM = 3

FACTS = """ledger.csv: 412 rows, separated by ';'
  Datum      text    e.g. 03.01.2022, 04.01.2022
  Konto      text    e.g. Miete, Reise, Lohn; 9 values
  Betrag     text    e.g. 1.250,00, -89,90, 17,35
  Beleg Nr   integer e.g. 1001, 1002; 3 missing"""
DIALOGUES = (
    (
        "What is the sum of Betrag in ledger.csv for each Konto, and which Konto has the largest one?",
        "Traceback (most recent call last):\n  File \"<cell>\", line 4, in <module>\nValueError: could not convert string to float: '1.250,00'\n"
        "Write the whole program again, corrected.",
        "Konto\nLohn     48210.50\nMiete    15000.00\nReise     2310.35\nlargest: Lohn 48210.50",
    ),
    (
        "How many rows of ledger.csv have no Beleg Nr, and what is the median of Betrag in the others?",
        "Traceback (most recent call last):\n  File \"<cell>\", line 5, in <module>\nKeyError: 'BelegNr'\n"
        "The columns are Datum, Konto, Betrag, Beleg Nr.\n"
        "Write the whole program again, corrected.",
        "rows without Beleg Nr: 3\nmedian of Betrag: 112.40",
    ),
    (
        "Give the monthly totals of Betrag in ledger.csv with their share of the year in percent, rounded to one decimal.",
        'Traceback (most recent call last):\n  File "<cell>", line 6, in <module>\n'
        "ValueError: time data '03.01.2022' does not match format '%Y-%m-%d'\n"
        "Write the whole program again, corrected.",
        "2022-01 total 5120.10 share 8.2\n2022-02 total 4980.00 share 8.0\n2022-03 total 6015.75 share 9.7",
    ),
)


@dataclass(frozen=True)
class Setting:
    """The settings of a context."""

    batch: int = CPU_BATCH
    """`n_batch`, and the number of tokens submitted at once."""
    ubatch: int = CPU_BATCH
    threads: int = usable_cores()
    keys: str = "q8_0"
    values: str = "f16"

    def __str__(self) -> str:
        return f"batch {self.batch}/{self.ubatch}, {self.threads} threads, keys {self.keys}, values {self.values}"


class Tuned(LlamaModel):
    """A model whose context follows a setting, and can be replaced over the same weights."""

    def __init__(self, path: Path) -> None:
        self._setting = Setting()
        super().__init__(path, gpu_layers=0, context_tokens=CONTEXT, conversations=1, threads=self._setting.threads)

    def tune(self, setting: Setting) -> None:
        """Replace the context by one with another setting.

        Raises:
            EngineUnavailableError: if no context can be created with this setting; the present one remains.
        """
        before, size = self._setting, self.batch_size
        self._setting, self.batch_size = setting, setting.batch
        try:
            context = self._open(CONTEXT, 1, setting.threads)
        except EngineUnavailableError:
            self._setting, self.batch_size = before, size
            raise
        lib.batch_free(self._batch)
        lib.free(self._context)
        self._context, self._memory = context, lib.get_memory(context)
        self._batch = lib.batch_init(setting.batch, 0, 1)

    def _open(self, window: int, conversations: int, threads: int) -> object:
        parameters: Any = self._parameters(window, conversations, threads)
        parameters.n_ubatch = self._setting.ubatch
        parameters.type_k, parameters.type_v = TYPES[self._setting.keys], TYPES[self._setting.values]
        context: object = lib.init_from_model(self._model, parameters)
        if not context:
            raise EngineUnavailableError(f"no context with {self._setting}")
        return context


class Text:
    """A sequence that is read and written, with or without drafts."""

    def __init__(self, model: LlamaModel) -> None:
        self._model = model
        self.tokens: list[int] = []
        """The tokens whose positions are stored."""
        model.keep(0, 0)

    def read(self, tokens: Sequence[int]) -> int:
        """Process tokens in portions; return the likeliest next token."""
        for start in range(0, len(tokens), self._model.batch_size):
            portion = tokens[start : start + self._model.batch_size]
            self._decode(portion, every=False)
        return int(self._model.logits(len(portion) - 1).argmax())

    def write(self, token: int, limit: int, draft_tokens: int) -> tuple[list[int], int]:
        """Continue greedily from a chosen token; return the written tokens and the number of steps."""
        written, steps = [token], 0
        while len(written) < limit and written[-1] not in self._model.vocabulary.ends:
            draft = drafted([*self.tokens, written[-1]], draft_tokens)[: limit - len(written) - 1]
            stored = len(self.tokens)
            self._decode([written[-1], *draft], every=True)
            steps += 1
            for place, guess in enumerate([*draft, None]):
                written.append(int(self._model.logits(place).argmax()))
                if guess != written[-1] or guess in self._model.vocabulary.ends:
                    break
            kept = stored + 1 + place
            if kept < len(self.tokens):
                del self.tokens[kept:]
                self._model.keep(0, kept)
        return written, steps

    def _decode(self, tokens: Sequence[int], *, every: bool) -> None:
        start, last = len(self.tokens), len(tokens) - 1
        entries = [BatchEntry(token, start + place, 0, every or place == last) for place, token in enumerate(tokens)]
        assert self._model.decode(entries) is BatchOutcome.DONE
        self.tokens += tokens


def drafted(tokens: Sequence[int], count: int) -> list[int]:
    """Return the tokens that followed the last earlier occurrence of the final `NGRAM` tokens."""
    end = list(tokens[-NGRAM:])
    for start in range(len(tokens) - NGRAM - 1, -1, -1) if count else ():
        if tokens[start] == end[0] and list(tokens[start : start + NGRAM]) == end:
            return list(tokens[start + NGRAM : start + NGRAM + count])
    return []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a GGUF file (default: the embedded model of this machine)")
    parser.add_argument("--rounds", type=int, default=3, help="of each measurement (default: 3)")
    parser.add_argument(
        "--only", nargs="+", choices=("settings", "steps", "drafts"), default=("settings", "steps", "drafts")
    )
    parser.add_argument(
        "--dialogues", type=int, default=len(DIALOGUES), help="how many are written with drafts (default: all)"
    )
    parser.add_argument("--tokens", type=int, default=200, help="of a reply with drafts, at most (default: 200)")
    options = parser.parse_args()
    # OpenMP reads this when the library is loaded; the worker sets it too.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    path = options.model or choose_model().model.path
    print(
        f"{path.name}, {lib.build}; load average {os.getloadavg()[0]:.1f}; medians of {options.rounds} rounds",
        flush=True,
    )
    model = Tuned(path)
    if "settings" in options.only:
        settings(model, options.rounds)
        model.tune(Setting())
    if "steps" in options.only:
        steps(model, options.rounds)
    if "drafts" in options.only:
        drafts(model, options.rounds, options.tokens, DIALOGUES[: options.dialogues])
    model.close()


def settings(model: Tuned, rounds: int) -> None:
    """Measure the tokens read and written per second with each setting."""
    batches = [Setting(batch=size, ubatch=size) for size in (16, 32, 128, 256, 512)]
    threads = [Setting(threads=count) for count in (1, usable_cores() + 1)]
    types = [Setting(keys="f16"), Setting(keys="q8_0", values="q8_0")]
    every = list(dict.fromkeys([Setting(), *batches, Setting(batch=512), *threads, *types]))
    speeds: dict[Setting, list[tuple[float, float]]] = {setting: [] for setting in every}
    for _ in range(rounds):
        for setting in every:
            try:
                model.tune(setting)
            except EngineUnavailableError as exc:
                print(exc.message, file=sys.stderr)
                continue
            speeds[setting].append(speed(model))
    base = [statistics.median(column) for column in zip(*speeds[Setting()], strict=True)]
    for setting, found in speeds.items():
        if found:
            read, write = (statistics.median(column) for column in zip(*found, strict=True))
            print(
                f"{setting!s:<58} reads {read:7.1f} ({read / base[0]:.2f})  writes {write:6.1f} ({write / base[1]:.2f}) tokens/s",
                flush=True,
            )


def speed(model: LlamaModel) -> tuple[float, float]:
    tokens = model.vocabulary.tokenize(f"{FACTS}\n" * 20, special=False)
    Text(model).read(tokens[: model.batch_size])
    text = Text(model)
    started = time.perf_counter()
    token = text.read(tokens[:READ_TOKENS])
    between = time.perf_counter()
    written, _ = text.write(token, WRITTEN_TOKENS, 0)
    return READ_TOKENS / (between - started), (len(written) - 1) / (time.perf_counter() - between)


def steps(model: LlamaModel, rounds: int) -> None:
    """Measure the cost of a step of several tokens, relative to a step of one."""
    tokens = model.vocabulary.tokenize(f"{FACTS}\n" * 20, special=False)[:READ_TOKENS]
    text = Text(model)
    text.read(tokens)
    seconds: dict[int, list[float]] = {size: [] for size in STEP_SIZES}
    for _ in range(3 * rounds):
        for size in STEP_SIZES:
            started = time.perf_counter()
            text._decode(tokens[:size], every=True)
            seconds[size].append(time.perf_counter() - started)
            del text.tokens[READ_TOKENS:]
            model.keep(0, READ_TOKENS)
    one = statistics.median(seconds[1])
    costs = ", ".join(f"{size}: {statistics.median(each) / one:.2f}" for size, each in seconds.items())
    print(f"a step of so many tokens, in steps of one ({1000 * one:.0f} ms): {costs}", flush=True)


def drafts(model: LlamaModel, rounds: int, limit: int, dialogues: Sequence[tuple[str, str, str]]) -> None:
    """Measure the speed-up of a program, its repair and an answer by drafts, and whether the texts are the same."""
    renderer = Renderer(model.vocabulary, model.chat_template)
    sums: dict[tuple[str, int], list[float]] = {}
    for question, error, output in dialogues:
        messages = [Message("system", system_prompt()), Message("user", question_with_facts(question, FACTS))]
        program = compared(model, renderer, messages, "programs", rounds, limit, sums)
        messages.append(Message("assistant", program))
        compared(model, renderer, [*messages, Message("tool", error)], "repairs", rounds, limit, sums)
        compared(model, renderer, [*messages, Message("tool", output)], "answers", rounds, limit, sums)
    for what in ("programs", "repairs", "answers"):
        plain = sums[what, 0]
        for count in (3, 7):
            seconds, written, taken, same = sums[what, count]
            print(
                f"{what}, drafts of {count}: {plain[0] / seconds:.2f} times as fast, {written / taken:.2f} tokens a step, "
                f"{same:.0f} of {len(dialogues)} the same",
                flush=True,
            )


def compared(
    model: LlamaModel,
    renderer: Renderer,
    messages: Sequence[Message],
    what: str,
    rounds: int,
    limit: int,
    sums: dict[tuple[str, int], list[float]],
) -> str:
    """Write a reply without drafts and with several; add seconds, tokens, steps and equal replies to the sums, and return the reply."""
    prompt = renderer.prompt(tuple(messages)).tokens
    text = Text(model)
    first = text.read(prompt)
    found: dict[int, tuple[list[int], int]] = {}
    seconds: dict[int, list[float]] = {0: [], 3: [], 7: []}
    for _ in range(rounds):
        for count, times in seconds.items():
            started = time.perf_counter()
            found[count] = text.write(first, limit, count)
            times.append(time.perf_counter() - started)
            del text.tokens[len(prompt) :]
            model.keep(0, len(prompt))
    plain = found[0][0]
    for count, (written, taken) in found.items():
        entry = sums.setdefault((what, count), [0.0, 0.0, 0.0, 0.0])
        for place, value in enumerate((statistics.median(seconds[count]), len(written) - 1, taken, written == plain)):
            entry[place] += value
    ends = model.vocabulary.ends
    return b"".join(model.vocabulary.piece(token) for token in plain if token not in ends).decode("utf-8", "replace")


main()
