"""The beginning that all conversations have in common, kept over the worker's death: from the model's memory to disk and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from analystd.engine.llama.prefix_cache import Prefixes
from analystd.engine.llama.slots import Slot, Slots


class States(Protocol):
    """What is needed of a model."""

    def state(self, sequence: int, length: int) -> bytes:
        """What a sequence holds of its first positions; empty if that cannot be had."""
        ...

    def restore(self, sequence: int, state: bytes, length: int) -> bool:
        """Fill an empty sequence; False, and the sequence empty, when the state does not fit."""
        ...

    def stored(self, sequence: int) -> int:
        """How many positions a sequence holds."""
        ...


class Beginnings:
    """Puts what is known of a common beginning into a slot, and stores what was not known yet."""

    def __init__(self, model: States, slots: Slots, prefixes: Prefixes) -> None:
        self._model = model
        self._slots = slots
        self._prefixes = prefixes

    def recall(self, slot: Slot, prompt: Sequence[int], length: int) -> None:
        """Have the slot hold the prompt's first `length` tokens, if their state is on disk and no conversation holds them."""
        beginning = prompt[:length]
        if self._slots.known(prompt) >= length or (state := self._prefixes.load(beginning)) is None:
            return
        self._slots.empty(slot)
        if self._model.restore(slot.number, state, len(beginning)):
            slot.tokens = list(beginning)
        else:
            self._prefixes.discard(beginning)

    def remember(self, slot: Slot, beginning: Sequence[int]) -> None:
        """Store the state of the beginning when the slot holds it and it was never stored."""
        if not beginning or slot.tokens[: len(beginning)] != list(beginning) or self._prefixes.knows(beginning):
            return
        if state := self._model.state(slot.number, len(beginning)):
            self._prefixes.save(beginning, state)
        if self._model.stored(slot.number) != len(slot.tokens):
            self._slots.empty(slot)
