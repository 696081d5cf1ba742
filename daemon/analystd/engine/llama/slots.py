"""Assign the sequences of the model's memory to conversations, and reuse what they hold of a new prompt."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol


class SequenceMemory(Protocol):
    """The part of a model that this module uses."""

    def keep(self, sequence: int, length: int) -> bool:
        """Drop what a sequence holds from position `length` on. Returns False when all of it had to be dropped."""
        ...

    def copy(self, source: int, target: int, length: int) -> bool:
        """Copy the beginning of a sequence to an empty one. Returns False, and leaves it empty, when that is not possible."""
        ...


@dataclass(eq=False)
class Slot:
    """A sequence of the model, and the conversation that it is assigned to."""

    number: int
    owner: str
    tokens: list[int] = field(default_factory=list)
    """The tokens in its cells."""
    busy: bool = False
    """Whether a reply is being generated."""
    used: int = 0
    """When it was last used, as a counter of uses."""


class Slots:
    """Assigns the model's sequences. A conversation keeps its sequence until another conversation needs it."""

    def __init__(self, memory: SequenceMemory, *, sequences: int, can_share: bool = True) -> None:
        self._memory = memory
        self._can_share = can_share
        self._free = list(reversed(range(sequences)))
        self._slots: dict[str, Slot] = {}
        self._uses = itertools.count(1)

    @property
    def most_tokens(self) -> int:
        """The largest number of tokens that a conversation holds."""
        return max((len(slot.tokens) for slot in self._slots.values()), default=0)

    def is_busy(self, owner: str) -> bool:
        """Return whether a reply of this conversation is being generated."""
        return owner in self._slots and self._slots[owner].busy

    def take(self, owner: str, prompt: Sequence[int]) -> Slot | None:
        """Return the conversation's slot with the part of the prompt that it holds, at most all but the last token; None when all are busy.

        When no slot is free, the idle conversation that was used least recently loses its slot.
        """
        slot = self._slots.get(owner) or self._new(owner, prompt)
        if slot is None:
            return None
        slot.busy, slot.used = True, next(self._uses)
        self._rewind(slot, _held(slot, prompt))
        return slot

    def known(self, prompt: Sequence[int]) -> int:
        """Return how many leading tokens of a prompt any conversation holds, usually those of the system message."""
        return max((_held(slot, prompt) for slot in self._slots.values()), default=0) if self._can_share else 0

    def share(self, slot: Slot, prompt: Sequence[int]) -> None:
        """Copy what another conversation has in common with the prompt, if that is more than the slot holds."""
        length = self.known(prompt)
        if length <= len(slot.tokens):
            return
        source = self._closest(prompt)
        self._rewind(slot, 0)
        if self._memory.copy(source.number, slot.number, length):
            slot.tokens = list(prompt[:length])

    def release(self, slot: Slot) -> None:
        """Mark the slot as idle. It keeps its tokens for the next reply."""
        slot.busy = False

    def rewind(self, slot: Slot) -> None:
        """Drop what an unfinished batch has added, so that only the earlier tokens remain."""
        self._rewind(slot, len(slot.tokens))

    def empty(self, slot: Slot) -> None:
        """Drop all tokens of the slot."""
        self._rewind(slot, 0)

    def forget(self, owner: str) -> None:
        """Free the slot of an idle conversation."""
        if owner in self._slots and not self.is_busy(owner):
            slot = self._slots.pop(owner)
            self._memory.keep(slot.number, 0)
            self._free.append(slot.number)
            # Neighbours are processed together, so the lowest number comes first.
            self._free.sort(reverse=True)

    def _new(self, owner: str, prompt: Sequence[int]) -> Slot | None:
        """Return a free slot, or an idle one with its tokens."""
        if self._free:
            slot = Slot(self._free.pop(), owner)
        elif idle := [each for each in self._slots.values() if not each.busy]:
            # The slot with the most tokens in common is kept to be copied from, unless it is the only idle one.
            closest = self._closest(prompt)
            slot = min(idle, key=lambda each: (each is closest, each.used))
            del self._slots[slot.owner]
            slot.owner = owner
        else:
            return None
        self._slots[owner] = slot
        return slot

    def _closest(self, prompt: Sequence[int]) -> Slot:
        return max(self._slots.values(), key=lambda slot: _held(slot, prompt))

    def _rewind(self, slot: Slot, length: int) -> None:
        kept = self._memory.keep(slot.number, length)
        del slot.tokens[length if kept else 0 :]


def _held(slot: Slot, prompt: Sequence[int]) -> int:
    """Return how many leading tokens of a prompt, without its last one, a slot holds."""
    for index, (one, other) in enumerate(zip(slot.tokens, prompt[:-1], strict=False)):
        if one != other:
            return index
    return min(len(slot.tokens), len(prompt) - 1)
