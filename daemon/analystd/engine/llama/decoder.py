"""The decode loop: all replies in progress share one batch per step, in which prompts are processed in portions between the generated tokens."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from analystd.engine.llama.generation import Generation
from analystd.engine.llama.llama_model import BatchEntry, BatchOutcome, LlamaModel
from analystd.engine.llama.prefix_cache import PrefixCache, SharedPrefix
from analystd.engine.llama.slots import Slot, Slots
from analystd.wire.errors import EngineUnavailableError

_EMIT_SECONDS = 0.06
"""Minimum interval between two pieces of text, about that of the events: each piece makes another process take a core from the model."""

_PROMPT_SHARE = 4
"""While replies are being generated, prompts get the batch size divided by this."""


class ReplyListener(Protocol):
    """The receiver of a reply."""

    def cancelled(self) -> bool:
        """Return whether the reply is no longer wanted."""
        ...

    def on_text(self, text: str) -> None:
        """Take a piece of the reply, in whole characters."""
        ...

    def finished(self, result: Result) -> None:
        """Take the result of the finished reply."""
        ...

    def failed(self, error: EngineUnavailableError) -> None:
        """Take the error: the reply is not finished."""
        ...


@dataclass(frozen=True)
class Result:
    """Why a reply ended, and what it cost."""

    reason: str
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    seconds: float
    writing_seconds: float
    """The time from the first token of the reply to the last one."""
    written_tokens: int
    """How many tokens were chosen in that time, including the one that ends a reply."""
    context_used: int
    """The number of tokens of the longest conversation in memory."""


@dataclass(eq=False)
class Job:
    """A reply to generate: its listener, its conversation and its prompt."""

    client: ReplyListener
    sequence: str
    prompt: tuple[int, ...]
    reply: Generation
    common: int = 0
    """How many leading tokens the prompt shares with those of all conversations."""
    started: float = field(default_factory=time.monotonic)
    writing_since: float | None = None
    chosen: int = 0
    """How many tokens were chosen, including the one that ends the reply."""
    slot: Slot | None = None
    cached: int = 0
    unsent: str = ""
    sent_at: float = 0.0

    def waiting_tokens(self, stored: int, limit: int) -> list[int]:
        """Return the next tokens to process, at most `limit`, after the first `stored` ones."""
        beyond = stored - len(self.prompt)
        if beyond >= 0:
            return self.reply.tokens[beyond : beyond + limit]
        return [*self.prompt[stored : stored + limit], *self.reply.tokens][:limit]

    @property
    def shared_prefix(self) -> tuple[int, ...]:
        """The tokens that all conversations begin with."""
        return self.prompt[: self.common]

    @property
    def length(self) -> int:
        """The number of tokens of the prompt and the reply so far."""
        return len(self.prompt) + len(self.reply.tokens)


class Decoder:
    """Generates replies for as many conversations at once as the model keeps. The others wait in order.

    Where the model's state can be split, common prefixes are loaded from `prefixes`, and stored there.
    """

    def __init__(self, model: LlamaModel, prefixes: PrefixCache | None = None) -> None:
        self._model = model
        self._slots = Slots(model, sequences=model.conversations, can_share=model.can_share)
        self._waiting: deque[Job] = deque()
        self._active: list[Job] = []
        self._shared_prefix: SharedPrefix | None = None
        if prefixes is not None and model.can_share:
            self._shared_prefix = SharedPrefix(model, self._slots, prefixes)

    @property
    def idle(self) -> bool:
        """Whether no reply is waiting or in progress."""
        return not self._waiting and not self._active

    def add(self, job: Job) -> None:
        """Queue a reply."""
        self._waiting.append(job)

    def forget(self, sequence: str) -> None:
        """Drop the state of a conversation."""
        self._slots.forget(sequence)

    def step(self) -> None:
        """Run one batch: a token for each reply in progress, and portions of the prompts that are being processed."""
        self._drop_cancelled()
        self._admit()
        portions = self._portions()
        if not portions:
            return
        entries = [entry for job, count in portions for entry in _entries(job, count)]
        jobs = [job for job, _ in portions]
        outcome = self._model.decode(entries, _abort_for(jobs) if len(entries) > len(jobs) else None)
        if outcome is BatchOutcome.DONE:
            self._advance(portions)
        else:
            self._recover(outcome, jobs)

    def _drop_cancelled(self) -> None:
        for job in [job for job in self._active if job.client.cancelled()]:
            self._finish(job, "stopped")
        for job in [job for job in self._waiting if job.client.cancelled()]:
            self._waiting.remove(job)
            self._finish(job, "stopped")

    def _admit(self) -> None:
        """Start the waiting jobs that fit, in order. A second request of a conversation waits for the first without delaying others."""
        for job in list(self._waiting):
            if self._slots.is_busy(job.sequence):
                continue
            job.slot = self._slots.take(job.sequence, job.prompt)
            if job.slot is None:
                return
            if self._shared_prefix is not None:
                self._shared_prefix.recall(job.slot, job.prompt, job.common)
            self._slots.share(job.slot, job.prompt)
            job.cached = len(job.slot.tokens)
            self._waiting.remove(job)
            self._active.append(job)

    def _portions(self) -> list[tuple[Job, int]]:
        """Return how many tokens of which job the next batch takes: one for each reply, and equal parts of the rest for the prompts.

        While any reply is being generated, prompts get less, so that generation continues smoothly.
        """
        writers = [(job, 1) for job in self._active if _unprocessed(job) == 1]
        readers = [job for job in self._active if _unprocessed(job) > 1]
        room = self._model.batch_size // _PROMPT_SHARE if writers else self._model.batch_size
        portions = writers + [(job, min(_unprocessed(job), max(1, room // len(readers)))) for job in readers]
        # llama.cpp processes neighbours together.
        return sorted(portions, key=lambda portion: portion[0].slot.number if portion[0].slot else 0)

    def _advance(self, portions: Sequence[tuple[Job, int]]) -> None:
        index = -1
        for job, count in portions:
            index += count
            assert job.slot is not None
            job.slot.tokens += job.waiting_tokens(len(job.slot.tokens), count)
            if _unprocessed(job) == 0:
                self._write(job, index)

    def _write(self, job: Job, index: int) -> None:
        job.unsent += job.reply.advance(self._model.logits(index))
        now = time.monotonic()
        job.chosen += 1
        job.writing_since = job.writing_since or now
        if job.unsent and (job.reply.reason or now - job.sent_at >= _EMIT_SECONDS):
            job.client.on_text(job.unsent)
            job.unsent, job.sent_at = "", now
        if job.reply.reason == "length" and job.length >= self._model.window:
            self._finish(job, "context")
        elif job.reply.reason:
            self._finish(job, job.reply.reason)

    def _recover(self, outcome: BatchOutcome, jobs: Sequence[Job]) -> None:
        """Handle a batch that did not complete: after an abort, the jobs that are not cancelled are tried again; after a failure, all fail."""
        for job in jobs:
            assert job.slot is not None
            self._slots.rewind(job.slot)
        if outcome is BatchOutcome.ABORTED:
            return
        for job in jobs:
            self._fail(job, EngineUnavailableError("The model could not process the conversation; the log says more"))

    def _finish(self, job: Job, reason: str) -> None:
        self._retire(job)
        now = time.monotonic()
        job.client.finished(
            Result(
                reason,
                len(job.prompt),
                job.cached,
                len(job.reply.tokens),
                seconds=now - job.started,
                writing_seconds=now - (job.writing_since or now),
                written_tokens=max(0, job.chosen - 1),
                context_used=self._slots.most_tokens,
            )
        )
        # Stored only now, so that the client does not wait for the disk.
        if self._shared_prefix is not None and job.slot is not None:
            self._shared_prefix.remember(job.slot, job.shared_prefix)

    def _fail(self, job: Job, error: EngineUnavailableError) -> None:
        self._retire(job)
        job.client.failed(error)

    def _retire(self, job: Job) -> None:
        job.reply.close()
        if job in self._active:
            self._active.remove(job)
        if job.slot is not None:
            self._slots.release(job.slot)


def _unprocessed(job: Job) -> int:
    """Return how many tokens must be processed before the next one can be chosen."""
    assert job.slot is not None
    return job.length - len(job.slot.tokens)


def _entries(job: Job, count: int) -> list[BatchEntry]:
    assert job.slot is not None
    stored = len(job.slot.tokens)
    tokens = job.waiting_tokens(stored, count)
    last = stored + len(tokens) == job.length
    return [
        BatchEntry(token, stored + index, job.slot.number, last and index == len(tokens) - 1)
        for index, token in enumerate(tokens)
    ]


def _abort_for(jobs: Sequence[Job]) -> Callable[[], bool]:
    return lambda: any(job.client.cancelled() for job in jobs)
