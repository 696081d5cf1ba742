"""Which conversation holds which sequence of the model's memory, and what of a new prompt is there already."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol


class SequenceMemory(Protocol):
    """What is needed of a model."""

    def keep(self, sequence: int, length: int) -> bool:
        """Drop what a sequence holds from position `length` on; False when all of it had to go."""
        ...

    def copy(self, source: int, target: int, length: int) -> bool:
        """Give an empty sequence the beginning of another; False, and the sequence empty, when that cannot be."""
        ...


@dataclass(eq=False)
class Slot:
    """A sequence of the model that a conversation holds."""

    number: int
    owner: str
    tokens: list[int] = field(default_factory=list)
    """What its cells hold."""
    busy: bool = False
    """Whether a reply is under way."""
    used: int = 0
    """When it was last used, counted in uses."""


class Slots:
    """The owner of the model's sequences. A conversation keeps its own until another one needs it."""

    def __init__(self, memory: SequenceMemory, *, sequences: int, can_share: bool = True) -> None:
        self._memory = memory
        self._can_share = can_share
        self._free = list(reversed(range(sequences)))
        self._slots: dict[str, Slot] = {}
        self._uses = itertools.count(1)

    @property
    def most_tokens(self) -> int:
        """What the conversation with the most tokens holds."""
        return max((len(slot.tokens) for slot in self._slots.values()), default=0)

    def is_busy(self, owner: str) -> bool:
        """Whether a reply of this conversation is under way."""
        return owner in self._slots and self._slots[owner].busy

    def take(self, owner: str, prompt: Sequence[int]) -> Slot | None:
        """The conversation's slot, with what it holds of the prompt's beginning, all but its last token at the most.

        None when all are busy. A conversation that rests makes room, the one that rested longest first.
        """
        slot = self._slots.get(owner) or self._new(owner, prompt)
        if slot is None:
            return None
        slot.busy, slot.used = True, next(self._uses)
        self._rewind(slot, _held(slot, prompt))
        return slot

    def known(self, prompt: Sequence[int]) -> int:
        """How much of a prompt's beginning any conversation holds, as a rule the system's words."""
        return max((_held(slot, prompt) for slot in self._slots.values()), default=0) if self._can_share else 0

    def share(self, slot: Slot, prompt: Sequence[int]) -> None:
        """Take over what another conversation has in common with the prompt, if that is more than the slot holds."""
        length = self.known(prompt)
        if length <= len(slot.tokens):
            return
        source = self._closest(prompt)
        self._rewind(slot, 0)
        if self._memory.copy(source.number, slot.number, length):
            slot.tokens = list(prompt[:length])

    def release(self, slot: Slot) -> None:
        """The reply is over; what the slot holds stays for the next one."""
        slot.busy = False

    def rewind(self, slot: Slot) -> None:
        """After a batch that was not finished: only what was there before it remains."""
        self._rewind(slot, len(slot.tokens))

    def empty(self, slot: Slot) -> None:
        """Drop what the slot holds."""
        self._rewind(slot, 0)

    def forget(self, owner: str) -> None:
        """Drop a conversation that rests."""
        if owner in self._slots and not self.is_busy(owner):
            slot = self._slots.pop(owner)
            self._memory.keep(slot.number, 0)
            self._free.append(slot.number)
            # Neighbours are processed together, so the lowest number comes first.
            self._free.sort(reverse=True)

    def _new(self, owner: str, prompt: Sequence[int]) -> Slot | None:
        """A free slot, or one at rest with what it holds."""
        if self._free:
            slot = Slot(self._free.pop(), owner)
        elif resting := [each for each in self._slots.values() if not each.busy]:
            # The one with most in common is left to its owner, and copied from, unless it is the only one.
            closest = self._closest(prompt)
            slot = min(resting, key=lambda each: (each is closest, each.used))
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
    """How many tokens of a prompt, less its last one, a slot begins with."""
    for index, (one, other) in enumerate(zip(slot.tokens, prompt[:-1], strict=False)):
        if one != other:
            return index
    return min(len(slot.tokens), len(prompt) - 1)
