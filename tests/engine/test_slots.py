from analystd.engine.slots import Slot, Slots


class Cells:
    """A memory that only writes down what each sequence holds; it can cut sequences, unless it is told that it cannot."""

    def __init__(self, *, can_cut: bool = True) -> None:
        self.lengths: dict[int, int] = {}
        self._can_cut = can_cut

    def keep(self, sequence: int, length: int) -> bool:
        kept = self._can_cut or length in (0, self.lengths.get(sequence, 0))
        self.lengths[sequence] = length if kept else 0
        return kept

    def copy(self, source: int, target: int, length: int) -> None:
        assert self.lengths.get(target, 0) == 0
        assert length <= self.lengths[source]
        self.lengths[target] = length


def slots(memory: Cells, cells: int = 100, sequences: int = 4) -> Slots:
    return Slots(memory, cells=cells, sequences=sequences)


def process(slots: Slots, memory: Cells, owner: str, prompt: list[int], cells: int = 20) -> tuple[Slot, int]:
    """Take a slot, store the whole prompt in it and release it; gives the slot and how much was there before."""
    slot = slots.take(owner, prompt, cells)
    assert slot is not None
    cached = len(slot.tokens)
    assert memory.lengths[slot.number] == cached
    slot.tokens = list(prompt)
    memory.lengths[slot.number] = len(prompt)
    slots.release(slot)
    return slot, cached


def test_a_new_conversation_has_nothing_stored() -> None:
    memory = Cells()
    assert process(slots(memory), memory, "a", [1, 2, 3])[1] == 0


def test_the_longest_common_beginning_is_kept() -> None:
    memory = Cells()
    room = slots(memory)
    process(room, memory, "a", [1, 2, 3, 4])
    assert process(room, memory, "a", [1, 2, 9, 9])[1] == 2


def test_the_last_token_is_always_processed_again() -> None:
    memory = Cells()
    room = slots(memory)
    process(room, memory, "a", [1, 2, 3])
    assert process(room, memory, "a", [1, 2, 3])[1] == 2


def test_another_conversations_beginning_is_shared() -> None:
    memory = Cells()
    room = slots(memory)
    first, _ = process(room, memory, "a", [1, 2, 3, 4])
    second, cached = process(room, memory, "b", [1, 2, 3, 9])
    assert (cached, first.tokens, second.tokens) == (3, [1, 2, 3, 4], [1, 2, 3, 9])


def test_a_memory_that_cannot_share_is_not_asked_to() -> None:
    memory = Cells()
    room = Slots(memory, cells=100, sequences=4, can_share=False)
    process(room, memory, "a", [1, 2, 3, 4])
    assert process(room, memory, "b", [1, 2, 3, 9])[1] == 0


def test_a_memory_that_cannot_cut_starts_anew() -> None:
    memory = Cells(can_cut=False)
    room = Slots(memory, cells=100, sequences=4, can_share=False)
    process(room, memory, "a", [1, 2, 3, 4])
    assert process(room, memory, "a", [1, 2, 9])[1] == 0


def test_the_conversation_that_rested_longest_makes_room() -> None:
    memory = Cells()
    room = slots(memory)
    for owner in "abc":
        process(room, memory, owner, [ord(owner)] * 30, 40)
    process(room, memory, "a", [ord("a")] * 31, 40)
    process(room, memory, "d", [1] * 30, 40)
    assert process(room, memory, "a", [ord("a")] * 31, 40)[1] == 30
    assert process(room, memory, "b", [ord("b")] * 30, 40)[1] == 0


def test_sequences_run_out_before_cells_do() -> None:
    memory = Cells()
    room = slots(memory, sequences=2)
    for owner in "abcd":
        process(room, memory, owner, [ord(owner)] * 5)
    assert process(room, memory, "d", [ord("d")] * 5)[1] == 4
    assert process(room, memory, "a", [ord("a")] * 5)[1] == 0


def test_cells_promised_to_a_reply_are_not_given_to_another() -> None:
    room = slots(Cells())
    slot = room.take("a", [1], 60)
    assert slot is not None
    assert room.take("b", [1], 60) is None
    room.release(slot)
    assert room.take("b", [1], 60) is not None


def test_a_reply_under_way_is_never_dropped() -> None:
    room = slots(Cells(), sequences=1)
    assert room.take("a", [1], 10) is not None
    assert room.take("b", [2], 10) is None
    room.forget("a")
    assert room.is_busy("a")
    assert not room.drop_resting()


def test_a_forgotten_conversation_is_gone() -> None:
    memory = Cells()
    room = slots(memory)
    process(room, memory, "a", [1, 2, 3])
    room.forget("a")
    assert process(room, memory, "a", [1, 2, 3])[1] == 0


def test_an_unfinished_batch_leaves_what_was_there_before() -> None:
    memory = Cells()
    room = slots(memory)
    slot = room.take("a", [1, 2, 3], 20)
    assert slot is not None
    slot.tokens = [1, 2]
    memory.lengths[slot.number] = 3
    room.rewind(slot)
    assert (slot.tokens, memory.lengths[slot.number]) == ([1, 2], 2)
