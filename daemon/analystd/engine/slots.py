"""Which conversation holds which sequence and cells of the model's memory, and what of a new prompt is there already."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol


class Memory(Protocol):
    """What is needed of a model."""

    def keep(self, sequence: int, length: int) -> bool:
        """Drop what a sequence holds from position `length` on; False when all of it had to go."""
        ...

    def copy(self, source: int, target: int, length: int) -> None:
        """Let an empty sequence share the beginning of another."""
        ...


@dataclass(eq=False)
class Slot:
    """A sequence of the model that a conversation holds."""

    number: int
    owner: str
    tokens: list[int] = field(default_factory=list)
    """What its cells hold."""
    reserved: int = 0
    """Cells that a reply under way may need; 0: nothing is under way."""
    used: int = 0
    """When it was last used, counted in uses."""

    @property
    def cells(self) -> int:
        """Cells that it has or was promised."""
        return max(len(self.tokens), self.reserved)


class Slots:
    """The owner of the model's memory. Cells are promised before a reply begins, so that none ends for want of them."""

    def __init__(self, memory: Memory, *, cells: int, sequences: int, can_share: bool = True) -> None:
        self._memory = memory
        self._cells = cells
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
        return owner in self._slots and self._slots[owner].reserved > 0

    def take(self, owner: str, prompt: Sequence[int], cells: int) -> Slot | None:
        """A slot that holds the longest beginning of the prompt that is to be had, all but its last token at the most.

        None when `cells` are not free and will not be before another reply ends. Conversations that rest make room, the one that
        rested longest first.
        """
        others_at_work = [slot for slot in self._slots.values() if slot.reserved and slot.owner != owner]
        if sum(slot.cells for slot in others_at_work) + cells > self._cells:
            return None
        slot = self._slots.get(owner) or self._new(owner, kept=self._closest(prompt))
        if slot is None:
            return None
        slot.reserved, slot.used = cells, next(self._uses)
        self._rewind(slot, min(_common(slot.tokens, prompt), len(prompt) - 1))
        self._share(slot, prompt)
        while sum(each.cells for each in self._slots.values()) > self._cells and self._drop_longest_resting():
            pass
        return slot

    def release(self, slot: Slot) -> None:
        """The reply is over; what the slot holds stays for the next one."""
        slot.reserved = 0

    def rewind(self, slot: Slot) -> None:
        """After a batch that was not finished: only what was there before it remains."""
        self._rewind(slot, len(slot.tokens))

    def empty(self, slot: Slot) -> None:
        """Drop what the slot holds."""
        self._rewind(slot, 0)

    def forget(self, owner: str) -> None:
        """Drop a conversation that rests."""
        if owner in self._slots and not self.is_busy(owner):
            self._drop(self._slots[owner])

    def drop_resting(self) -> bool:
        """Drop every conversation that rests; whether there was one."""
        dropped = False
        while self._drop_longest_resting():
            dropped = True
        return dropped

    def _new(self, owner: str, kept: Slot | None) -> Slot | None:
        if not self._free and not self._drop_longest_resting(kept):
            return None
        slot = self._slots[owner] = Slot(self._free.pop(), owner)
        return slot

    def _closest(self, prompt: Sequence[int]) -> Slot | None:
        """The slot that has most in common with a prompt; None if none has anything."""
        closest = max(self._slots.values(), key=lambda slot: _common(slot.tokens, prompt), default=None)
        return closest if closest is not None and _common(closest.tokens, prompt) else None

    def _share(self, slot: Slot, prompt: Sequence[int]) -> None:
        """Take over what another conversation has in common with the prompt (as a rule the system's words), if that is more."""
        source = self._closest(prompt)
        if not self._can_share or source is None or source is slot:
            return
        length = min(_common(source.tokens, prompt), len(prompt) - 1)
        if length > len(slot.tokens):
            self._rewind(slot, 0)
            self._memory.copy(source.number, slot.number, length)
            slot.tokens = list(prompt[:length])

    def _rewind(self, slot: Slot, length: int) -> None:
        kept = self._memory.keep(slot.number, length)
        del slot.tokens[length if kept else 0 :]

    def _drop_longest_resting(self, kept: Slot | None = None) -> bool:
        resting = [slot for slot in self._slots.values() if not slot.reserved and slot is not kept]
        if resting:
            self._drop(min(resting, key=lambda slot: slot.used))
        return bool(resting)

    def _drop(self, slot: Slot) -> None:
        self._memory.keep(slot.number, 0)
        self._free.append(slot.number)
        del self._slots[slot.owner]


def _common(left: Sequence[int], right: Sequence[int]) -> int:
    """The length of the longest common beginning."""
    for index, (one, other) in enumerate(zip(left, right, strict=False)):
        if one != other:
            return index
    return min(len(left), len(right))
