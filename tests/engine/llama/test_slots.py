from analystd.engine.llama.slots import Slot, Slots


class Cells:
    """A memory that only writes down what each sequence holds; it can cut sequences, unless it is told that it cannot."""

    def __init__(self, *, can_cut: bool = True, can_copy: bool = True) -> None:
        self.lengths: dict[int, int] = {}
        self._can_cut = can_cut
        self._can_copy = can_copy

    def keep(self, sequence: int, length: int) -> bool:
        kept = self._can_cut or length in (0, self.lengths.get(sequence, 0))
        self.lengths[sequence] = length if kept else 0
        return kept

    def copy(self, source: int, target: int, length: int) -> bool:
        assert self.lengths.get(target, 0) == 0
        assert length <= self.lengths[source]
        self.lengths[target] = length if self._can_copy else 0
        return self._can_copy


def slots(memory: Cells, sequences: int = 4) -> Slots:
    return Slots(memory, sequences=sequences)


def process(slots: Slots, memory: Cells, owner: str, prompt: list[int]) -> tuple[Slot, int]:
    """Take a slot, store the whole prompt in it and release it; gives the slot and how much was there before."""
    slot = slots.take(owner, prompt)
    assert slot is not None
    slots.share(slot, prompt)
    cached = len(slot.tokens)
    assert memory.lengths[slot.number] == cached
    slot.tokens = list(prompt)
    memory.lengths[slot.number] = len(prompt)
    slots.release(slot)
    return slot, cached


def test_a_new_conversation_has_nothing_stored() -> None:
    memory = Cells()
    assert process(slots(memory), memory, "a", [1, 2, 3])[1] == 0


def test_the_longest_common_prefix_is_kept() -> None:
    memory = Cells()
    room = slots(memory)
    process(room, memory, "a", [1, 2, 3, 4])
    assert process(room, memory, "a", [1, 2, 9, 9])[1] == 2


def test_the_last_token_is_always_processed_again() -> None:
    memory = Cells()
    room = slots(memory)
    process(room, memory, "a", [1, 2, 3])
    assert process(room, memory, "a", [1, 2, 3])[1] == 2


def test_the_prefix_of_another_conversation_is_shared() -> None:
    memory = Cells()
    room = slots(memory)
    first, _ = process(room, memory, "a", [1, 2, 3, 4])
    assert room.known([1, 2, 3, 9]) == 3
    second, cached = process(room, memory, "b", [1, 2, 3, 9])
    assert (cached, first.tokens, second.tokens) == (3, [1, 2, 3, 4], [1, 2, 3, 9])


def test_a_prefix_that_cannot_be_copied_is_processed_again() -> None:
    memory = Cells(can_copy=False)
    room = slots(memory)
    process(room, memory, "a", [1, 2, 3, 4])
    assert process(room, memory, "b", [1, 2, 3, 9])[1] == 0


def test_a_memory_without_sharing_gets_no_copies() -> None:
    memory = Cells()
    room = Slots(memory, sequences=4, can_share=False)
    process(room, memory, "a", [1, 2, 3, 4])
    assert process(room, memory, "b", [1, 2, 3, 9])[1] == 0


def test_a_memory_that_cannot_be_truncated_starts_empty() -> None:
    memory = Cells(can_cut=False)
    room = Slots(memory, sequences=4, can_share=False)
    process(room, memory, "a", [1, 2, 3, 4])
    assert process(room, memory, "a", [1, 2, 9])[1] == 0


def test_the_conversation_that_was_idle_longest_loses_its_slot() -> None:
    memory = Cells()
    room = slots(memory, sequences=3)
    for owner in "abc":
        process(room, memory, owner, [ord(owner)] * 30)
    process(room, memory, "a", [ord("a")] * 31)
    process(room, memory, "d", [1] * 30)
    assert process(room, memory, "a", [ord("a")] * 31)[1] == 30
    assert process(room, memory, "c", [ord("c")] * 31)[1] == 30
    assert process(room, memory, "b", [ord("b")] * 30)[1] == 0


def test_the_conversation_with_the_longest_common_prefix_is_copied_and_kept() -> None:
    memory = Cells()
    room = slots(memory, sequences=2)
    process(room, memory, "a", [1, 2, 3, 4])
    process(room, memory, "b", [9, 9])
    assert process(room, memory, "c", [1, 2, 3, 5])[1] == 3
    assert process(room, memory, "a", [1, 2, 3, 4, 6])[1] == 4


def test_a_single_slot_keeps_the_prefix_of_the_next_conversation() -> None:
    memory = Cells()
    room = slots(memory, sequences=1)
    process(room, memory, "a", [1, 2, 3, 4])
    slot, cached = process(room, memory, "b", [1, 2, 9])
    assert (slot.owner, cached) == ("b", 2)


def test_a_busy_slot_is_never_reassigned() -> None:
    room = slots(Cells(), sequences=1)
    assert room.take("a", [1]) is not None
    assert room.take("b", [2]) is None
    room.forget("a")
    assert room.is_busy("a")


def test_forgetting_a_conversation_frees_its_slot() -> None:
    memory = Cells()
    room = slots(memory, sequences=1)
    process(room, memory, "a", [1, 2, 3])
    room.forget("a")
    assert memory.lengths[0] == 0
    assert process(room, memory, "a", [1, 2, 3])[1] == 0


def test_an_unfinished_batch_changes_no_slot() -> None:
    memory = Cells()
    room = slots(memory)
    slot = room.take("a", [1, 2, 3])
    assert slot is not None
    slot.tokens = [1, 2]
    memory.lengths[slot.number] = 3
    room.rewind(slot)
    assert (slot.tokens, memory.lengths[slot.number]) == ([1, 2], 2)
